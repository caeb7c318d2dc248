import { expect, test } from "vitest";

import { framesOf } from "../src/api/sse";

test("a frame that has not ended waits for its rest", () => {
  const { frames, rest } = framesOf("id: 1\nevent: transition\ndata: {}\n\nid: 2\nda");

  expect(frames).toEqual([{ id: "1", event: "transition", data: "{}" }]);
  expect(rest).toBe("id: 2\nda");
});

test("comments that keep a connection open are no frames", () => {
  expect(framesOf(": still here\n\n").frames).toEqual([]);
});

test("however a text is cut, the frames are the same", () => {
  const text = "id: 1\nevent: transition\ndata: {\"a\": 1}\n\nevent: progress\ndata: {}\n\n";
  const whole = framesOf(text).frames;
  for (let cut = 0; cut <= text.length; cut += 1) {
    const first = framesOf(text.slice(0, cut));
    expect([...first.frames, ...framesOf(first.rest + text.slice(cut)).frames]).toEqual(whole);
  }
});
