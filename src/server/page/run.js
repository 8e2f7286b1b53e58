// One request to the server, recorded.
import { stream } from "./api.js";

/**
 * Sends `body` to `path` and adds its stream to `recording`. `onUpdate` is called at most once a
 * frame while that grows, and once at its end. Returns whether `signal` stopped it. Throws ApiError.
 */
export async function record(path, body, signal, recording, onUpdate) {
  const start = performance.now();
  let frame = 0;
  const updateSoon = () => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      onUpdate(recording);
    });
  };
  let stopped = false;
  try {
    const full = { ...body, stream: true, stream_options: { include_usage: true, denoising: true } };
    for await (const chunk of stream(path, full, signal)) {
      recording.add(chunk, (performance.now() - start) / 1000);
      updateSoon();
    }
  } catch (error) {
    if (error.name !== "AbortError") throw error;
    stopped = true;
    recording.seconds = (performance.now() - start) / 1000;
  } finally {
    cancelAnimationFrame(frame);
    onUpdate(recording);
  }
  return stopped;
}
