// Calls to the server that this page came from; there is no other.
import { signal } from "@preact/signals";

export class Failure extends Error {
  constructor(
    readonly status: number, // 0: the server did not answer
    message: string,
    readonly code = "",
    readonly retryAfter = 0, // seconds
  ) {
    super(message);
  }
}

const kKey = "fieldprint-key";
const stores = () => [sessionStorage, localStorage];

export const keyWanted = signal(false); // the server asked for an API key
export const connected = signal(true);

export function storedKey(): string {
  return stores().map((store) => store.getItem(kKey)).find(Boolean) ?? "";
}

export function storeKey(key: string, keep: boolean) {
  for (const store of stores()) store.removeItem(kKey);
  if (key) (keep ? localStorage : sessionStorage).setItem(kKey, key);
}

async function failure(response: Response): Promise<Failure> {
  let message = "", code = "";
  try {
    const error = (await response.json()).error;
    message = error?.message ?? "";
    code = error?.code ?? "";
  } catch {
    // no JSON: the status has to do
  }
  if (response.status === 401) keyWanted.value = true;
  return new Failure(
    response.status,
    message || `the server answered ${response.status} ${response.statusText}`.trim(),
    code,
    Number(response.headers.get("Retry-After") ?? 0),
  );
}

export async function call(path: string, init: RequestInit & { json?: unknown } = {}): Promise<Response> {
  const { json, ...rest } = init;
  const headers = new Headers(rest.headers);
  const key = storedKey();
  if (key) headers.set("Authorization", `Bearer ${key}`);
  if (json !== undefined) headers.set("Content-Type", "application/json");
  let response: Response;
  try {
    response = await fetch(path, { ...rest, headers, ...(json === undefined ? {} : { body: JSON.stringify(json) }) });
  } catch (error) {
    if (rest.signal?.aborted) throw error;
    connected.value = false;
    throw new Failure(0, "the server does not answer");
  }
  connected.value = true;
  if (!response.ok) throw await failure(response);
  return response;
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await call(path, signal ? { signal } : {})).json();
}

export async function send<T>(method: string, path: string, json?: unknown, signal?: AbortSignal): Promise<T> {
  const response = await call(path, { method, json, ...(signal ? { signal } : {}) });
  const text = await response.text();
  return (text ? JSON.parse(text) : undefined) as T;
}

/** What to tell whoever looks at the page. */
export function sentence(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(begun) ? begun : begun + ".";
}
