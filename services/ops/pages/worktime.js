/**
 * How long somebody really works on a review, for any page: visible, focused, input within the idle cut.
 *
 *     import { measure } from "https://ops.example/static/worktime.js";
 *     const clock = measure({ url: "/reviews/0192…/heartbeat", activeSeconds: claimed.active_seconds, nextSequence: claimed.next_sequence });
 *     …
 *     if (!(await submitted({ outcome, ...clock.finish() }))) clock.resume();
 *
 * Heartbeats are cumulative and numbered, so a lost one costs nothing. Time that the machine slept is not counted, whether or not its
 * clock went on: between two ticks at most a few seconds count.
 */

const TICK_MS = 1000;
/** The most that counts between two ticks; a longer gap is a machine that slept or a page that was frozen. */
const LONGEST_TICK_MS = 3000;
const RETRY_MS = [1000, 2000, 4000, 8000];
const INPUTS = ["pointerdown", "pointermove", "keydown", "wheel", "scroll", "touchstart", "input"];

/**
 * Begin to count; call it when the review is claimed.
 *
 * @param {object} options
 * @param {string} options.url Where heartbeats are posted: the ops API, or your own server that forwards them with its key.
 * @param {number} [options.activeSeconds] Seconds that count of this claim already (`active_seconds` of the claim's answer).
 * @param {number} [options.nextSequence] Number of the next heartbeat (`next_sequence` of the claim's answer).
 * @param {string} [options.reviewer] Who works, where the key does not say it.
 * @param {Record<string, string>} [options.headers] Sent along, such as `Authorization`. With them the last heartbeat of a page that
 *     goes away is a fetch that outlives it; without them it is a beacon.
 * @param {number} [options.idleSeconds] Without input for so long nobody counts as working.
 * @param {number} [options.everySeconds] Between two heartbeats.
 * @param {(status: number) => void} [options.onStopped] Called once when heartbeats are refused: 409 means that the claim is lost.
 * @returns {{activeSeconds: () => number, finish: () => {active_seconds: number, sequence: number}, resume: () => void, stop: () => void}}
 *     `finish` stops the clock and gives what the submission needs; `resume` goes on where it was refused or did not arrive, without the
 *     time between; `stop` sends what is left, for a review that is given back. After `stop` and `onStopped` nothing goes on.
 */
export function measure(options) {
  const { url, reviewer, headers, onStopped, activeSeconds = 0, nextSequence = 0, idleSeconds = 60, everySeconds = 15 } = options;
  let activeMs = activeSeconds * 1000;
  let sequence = nextSequence;
  let sentMs = activeMs;
  let removedMs = 0;
  let settledAt = performance.now();
  let inputAt = settledAt;
  let beatAt = settledAt;
  let attending = isAttending();
  let running = false;
  let over = false;
  let timer = 0;
  let failures = 0;
  let retry = 0;
  let newest = null;

  function isAttending() {
    return document.visibilityState === "visible" && document.hasFocus();
  }

  /** Count what has passed since the last time, by how things were meanwhile. */
  function settle() {
    const now = performance.now();
    if (attending) {
      const worked = Math.min(now, inputAt + idleSeconds * 1000) - settledAt;
      activeMs += Math.min(Math.max(worked, 0), LONGEST_TICK_MS);
    }
    settledAt = now;
    attending = isAttending();
  }

  function noteInput() {
    settle();
    inputAt = settledAt;
  }

  function tick() {
    settle();
    if (settledAt - beatAt >= everySeconds * 1000) beat(false);
  }

  /** Nothing is sent while nobody works: the claim goes back to the queue then. */
  function beat(leaving) {
    if (activeMs <= sentMs) return;
    beatAt = settledAt;
    sentMs = activeMs;
    newest = { active_seconds: rounded(activeMs), sequence, ...(reviewer === undefined ? {} : { reviewer }) };
    sequence += 1;
    failures = 0;
    if (leaving && headers === undefined) {
      navigator.sendBeacon(url, new Blob([JSON.stringify(newest)], { type: "application/json" }));
    } else {
      send(newest, activeMs + removedMs);
    }
  }

  /** `atMs`: what the beat shows, and what the server had taken back by then. */
  async function send(beat, atMs) {
    clearTimeout(retry);
    try {
      const answer = await fetch(url, {
        method: "POST",
        headers: { "Content-Type": "application/json", ...headers },
        body: JSON.stringify(beat),
        keepalive: true,
      });
      if (answer.ok) return agree(await answer.json(), atMs);
      if (answer.status < 500 && answer.status !== 429) return refused(answer.status);
    } catch {
      // The network is away: as a server that is busy.
    }
    // A newer heartbeat says all that this one does.
    if (!running || beat !== newest || failures >= RETRY_MS.length) return;
    retry = setTimeout(() => send(beat, atMs), RETRY_MS[failures]);
    failures += 1;
  }

  /** The server counts less where the clock went on during sleep, say; go on from what counts. */
  function agree(answer, atMs) {
    const tooMuch = atMs - removedMs - answer.active_seconds * 1000;
    if (!(tooMuch > 500)) return;
    activeMs -= tooMuch;
    sentMs -= tooMuch;
    removedMs += tooMuch;
  }

  function refused(status) {
    halt();
    over = true;
    onStopped?.(status);
  }

  /** Who comes back has done something; who leaves may not come back. */
  function changed() {
    settle();
    if (attending) inputAt = settledAt;
    else beat(true);
  }

  function halt() {
    running = false;
    clearInterval(timer);
    clearTimeout(retry);
    for (const name of INPUTS) removeEventListener(name, noteInput, { capture: true });
    for (const name of ["focus", "blur", "pagehide"]) removeEventListener(name, changed);
    document.removeEventListener("visibilitychange", changed);
  }

  function begin() {
    running = true;
    settledAt = inputAt = performance.now();
    attending = isAttending();
    for (const name of INPUTS) addEventListener(name, noteInput, { capture: true, passive: true });
    for (const name of ["focus", "blur", "pagehide"]) addEventListener(name, changed);
    document.addEventListener("visibilitychange", changed);
    timer = setInterval(tick, TICK_MS);
  }

  begin();
  return {
    activeSeconds() {
      if (running) settle();
      return rounded(activeMs);
    },
    finish() {
      if (running) settle();
      halt();
      return { active_seconds: rounded(activeMs), sequence };
    },
    resume() {
      if (!running && !over) begin();
    },
    stop() {
      if (!running) return;
      settle();
      beat(true);
      halt();
      over = true;
    },
  };
}

function rounded(ms) {
  return Math.round(ms) / 1000;
}
