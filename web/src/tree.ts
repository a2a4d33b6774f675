// A conversation is a tree: an edited question or another answer is a second child of the same parent.
import type { Message } from "./types";

/** The messages from the first to `leaf`. */
export function branch(messages: Message[], leaf: string | null): Message[] {
  const by = new Map(messages.map((message) => [message.id, message]));
  const path: Message[] = [];
  for (let at = leaf === null ? undefined : by.get(leaf); at; at = at.parent === null ? undefined : by.get(at.parent)) path.push(at);
  return path.reverse();
}

/** The children of one parent, oldest first, of which `message` is one. */
export function siblings(messages: Message[], message: Message): Message[] {
  return messages.filter((other) => other.parent === message.parent);
}

/** The end of the branch that was last written below `id`. */
export function latestLeaf(messages: Message[], id: string): string {
  const latest = new Map<string, string>();
  for (const message of messages) if (message.parent !== null) latest.set(message.parent, message.id);
  let at = id;
  for (let next = latest.get(at); next !== undefined; next = latest.get(at)) at = next;
  return at;
}

/** A message and all below it, parents first. */
export function below(messages: Message[], id: string): Message[] {
  const found = new Set([id]);
  for (const message of messages) if (message.parent !== null && found.has(message.parent)) found.add(message.id);
  return messages.filter((message) => found.has(message.id));
}
