import assert from "node:assert/strict";
import { test } from "node:test";
import { pixelsOf } from "./pixels.ts";

const bytes = (...parts: (string | number[])[]): Uint8Array =>
  new Uint8Array(
    parts.flatMap((part) => (typeof part === "string" ? [...part].map((c) => c.charCodeAt(0)) : part)),
  );
const size = { width: 300, height: 2 };

test("heads of pictures say how large they are", () => {
  const png = bytes("\u0089PNG\r\n\u001a\n", [0, 0, 0, 13], "IHDR", [0, 0, 1, 44, 0, 0, 0, 2]);
  const gif = bytes("GIF89a", [44, 1, 2, 0]);
  const jpeg = bytes([0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xc2, 0, 11, 8, 0, 2, 1, 44]);
  const lossy = bytes("RIFF....WEBPVP8 ", [0, 0, 0, 0, 0, 0, 0, 0x9d, 1, 0x2a, 44, 1, 2, 0]);
  const lossless = bytes("RIFF....WEBPVP8L", [0, 0, 0, 0, 0x2f, 0x2b, 0x41, 0, 0]);
  const extended = bytes("RIFF....WEBPVP8X", [0, 0, 0, 0, 0, 0, 0, 0, 43, 1, 0, 1, 0, 0]);
  for (const [name, picture] of Object.entries({ png, gif, jpeg, lossy, lossless, extended }))
    assert.deepEqual(pixelsOf(picture), size, name);
});

test("what is no picture, or ends too early, says nothing", () => {
  for (const other of [
    bytes(""),
    bytes("<svg/>"),
    bytes([0xff, 0xd8, 0xff]),
    bytes("\u0089PNG"),
    bytes([0xff, 0xd8, 1, 2, 3, 4]),
  ])
    assert.equal(pixelsOf(other), undefined);
});
