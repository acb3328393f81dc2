/** How somebody looks: a picture, or letters on a colour. */

import { h } from "../dom.js";
import { initials } from "../words.js";
import { pictureType } from "./documents.js";
import type { Face } from "./model.js";

/** Colours to choose from; letters on them are readable on all. */
export const COLORS = [
  "#2b46c8",
  "#1b6b45",
  "#8a3b12",
  "#7a2a6b",
  "#0f6674",
  "#9a1f2e",
  "#4a4f5c",
  "#6b5a00",
];

/** A colour for somebody who chose none: always the same. */
export function colorOf(identity: string): string {
  let sum = 0;
  for (const letter of identity) sum = (31 * sum + (letter.codePointAt(0) ?? 0)) >>> 0;
  return COLORS[sum % COLORS.length] ?? "#4a4f5c";
}

const urls = new WeakMap<Uint8Array, string>();

/** An address of a picture for this page. */
function pictureUrl(picture: Uint8Array): string {
  const type = pictureType(picture) ?? "application/octet-stream";
  const url = urls.get(picture) ?? URL.createObjectURL(new Blob([picture as BlobPart], { type }));
  urls.set(picture, url);
  return url;
}

/** A face; it says nothing to screen readers, for the name stands beside it. */
export function avatar(
  name: string,
  identity: string,
  face: Partial<Face> = {},
  online = false,
): HTMLElement {
  const { color = colorOf(identity), picture } = face;
  const box = h("span", { class: online ? "face online" : "face", "aria-hidden": "true" });
  box.style.setProperty("--face", color);
  box.style.setProperty("--on-face", isLight(color) ? "#1d1b17" : "#ffffff");
  if (picture === undefined) box.append(initials(name));
  else box.append(h("img", { src: pictureUrl(picture), alt: "", width: 96, height: 96 }));
  return box;
}

/** Whether dark letters are easier to read on it (WCAG 2.2, relative luminance). */
function isLight(color: string): boolean {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5]
    .map((at) => Number.parseInt(color.slice(at, at + 2), 16) / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18;
}

/** Pixels of a picture's side, and bytes that it may have. */
const SIDE = 192;
const MOST = 32 * 1024;

/** A picture cut to a square and made small enough for a profile. Rejects with what to say to people. */
export async function smallPicture(file: Blob): Promise<Uint8Array> {
  const image = await createImageBitmap(file).catch(() => {
    throw new Error("This browser cannot read that picture.");
  });
  const cut = Math.min(image.width, image.height);
  for (let side = SIDE; side >= 32; side = Math.round(side * 0.75)) {
    const canvas = h("canvas", { width: side, height: side });
    const [x, y] = [(image.width - cut) / 2, (image.height - cut) / 2];
    canvas.getContext("2d")?.drawImage(image, x, y, cut, cut, 0, 0, side, side);
    const blob = await new Promise<Blob | null>((done) => canvas.toBlob(done, "image/webp", 0.85));
    const bytes = blob && new Uint8Array(await blob.arrayBuffer());
    if (bytes && bytes.length <= MOST && pictureType(bytes) !== undefined) return bytes;
  }
  throw new Error("This picture cannot be made small enough.");
}
