import { useEffect, useRef, useState } from "preact/hooks";
import { count, rate, seconds } from "../format";
import { timeLeft } from "../answer";
import { answer, current, path, problem, props, say, startNew, stream, tick } from "../store";
import type { Message } from "../types";
import { Markdown, MessageView, Reasoning, ToolCalls } from "./message";

const kIdeas = ["Explain how tides work, briefly", "Write a limerick about two CPUs", "What is the difference between heat and temperature?"];

function Empty() {
  const { model } = props.value;
  if (model?.encoder) {
    return (
      <div class="empty">
        <h2>This model writes no text.</h2>
        <p>{model.name} makes vectors of texts: programs ask for them at <code>/v1/embeddings</code>. Serve another model to talk with one.</p>
      </div>
    );
  }
  return (
    <div class="empty">
      <h2>What would you like to know?</h2>
      <p>
        {model?.name ? <>You are talking with <strong>{model.name}</strong>. It runs on this server, and nothing leaves it. </> : null}
        Each answer carries its print: where each of its tokens looked.
      </p>
      <ul class="ideas">
        {kIdeas.map((idea) => <li><button type="button" onClick={() => say(idea, [])}>{idea}</button></li>)}
      </ul>
    </div>
  );
}

/** The answer that is being written. */
function Live() {
  const one = stream.value;
  tick.value;
  const [now, setNow] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), 500);
    return () => clearInterval(timer);
  }, []);
  if (!one) return null;
  const { answer: got, waiting } = one;
  const { progress, details } = got;
  const left = progress ? timeLeft(progress) : undefined;
  const begun = got.begun > 0;
  const tokens = details.tokens?.text.length ?? 0;
  const passed = begun ? (Math.max(now, performance.now()) - got.begun) / 1000 : 0;
  return (
    <article class="message assistant live" aria-busy="true" aria-label="Answer">
      {!begun && (
        <div class="prefill">
          {waiting || (progress && progress.total > 0 ? `Reading ${count(progress.total)} tokens` : "Reading")}
          {progress && progress.cache > 0 && `, ${count(progress.cache)} known already`}
          {left !== undefined && `, ${seconds(left)} left`}
          <progress max={progress?.total || 1} value={progress?.total ? progress.processed : undefined} aria-label="Prompt read" />
        </div>
      )}
      {details.reasoning && <Reasoning text={details.reasoning} open={!got.content} thinking={!got.content} />}
      <Markdown text={got.content} />
      {details.tool_calls && <ToolCalls calls={details.tool_calls} />}
      {begun && <p class="figures">{tokens > 1 && passed > 0.3 ? `${rate(tokens / passed)} tokens/s` : " "}</p>}
    </article>
  );
}

function ProblemCard() {
  const what = problem.value;
  if (!what || what.conversation !== current.value.id) return null;
  const full = what.code === "context_length_exceeded";
  return (
    <div class="problem" role="alert">
      <strong>{full ? "The context is full." : what.status === 0 ? "The server is gone." : "There is no answer."}</strong>
      <p>{what.message}</p>
      <div class="problem-actions">
        {full
          ? <button type="button" onClick={startNew}>New conversation</button>
          : <button type="button" onClick={() => answer(what.conversation, what.parent)}>Try again</button>}
      </div>
    </div>
  );
}

export function Chat() {
  const box = useRef<HTMLDivElement>(null);
  const follow = useRef(true);
  const { id } = current.value;
  const messages: Message[] = path.value;
  const live = stream.value;
  tick.value;
  useEffect(() => {
    follow.current = true;
  }, [id, live?.begun]);
  useEffect(() => {
    if (follow.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  });
  return (
    <div
      class="chat"
      ref={box}
      tabIndex={0}
      role="region"
      aria-label="Conversation"
      onScroll={({ currentTarget: { scrollTop, scrollHeight, clientHeight } }) => (follow.current = scrollHeight - scrollTop - clientHeight < 60)}
    >
      <div class="column">
        {!messages.length && !live && <Empty />}
        {messages.map((message, at) => <MessageView key={message.id} message={message} last={at === messages.length - 1 && !live} />)}
        {live && <Live key={live.begun} />}
        <ProblemCard />
      </div>
    </div>
  );
}
