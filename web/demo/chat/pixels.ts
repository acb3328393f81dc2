/** How many pixels a picture says it has, read from its head: what would be too large is never decoded. */

/** Pixels of a picture that is shown in line. */
export const MOST_PIXELS = 16_000_000;
/** Bytes that are enough to find out. */
export const HEAD = 256 * 1024;

/** Width and height; undefined if that is no PNG, JPEG, WebP or GIF, or does not say. */
export function pixelsOf(bytes: Uint8Array): { readonly width: number; readonly height: number } | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const says = (text: string, at: number) => [...text].every((c, i) => bytes[at + i] === c.charCodeAt(0));
  try {
    if (says("\u0089PNG", 0)) return { width: view.getUint32(16), height: view.getUint32(20) };
    if (says("GIF8", 0)) return { width: view.getUint16(6, true), height: view.getUint16(8, true) };
    if (says("RIFF", 0) && says("WEBP", 8)) return webp(view, says);
    return view.getUint16(0) === 0xffd8 ? jpeg(view) : undefined;
  } catch {
    // It ends before it says.
    return undefined;
  }
}

/** RFC 9649, sections 2.4 to 2.7. */
function webp(view: DataView, says: (text: string, at: number) => boolean) {
  if (says("VP8X", 12)) {
    const at = (place: number) => 1 + view.getUint16(place, true) + 0x1_0000 * view.getUint8(place + 2);
    return { width: at(24), height: at(27) };
  }
  if (says("VP8L", 12)) {
    const bits = view.getUint32(21, true);
    return { width: 1 + (bits & 0x3fff), height: 1 + ((bits >>> 14) & 0x3fff) };
  }
  if (!says("VP8 ", 12)) return undefined;
  return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
}

/** ITU-T T.81, annex B: the first frame header. */
function jpeg(view: DataView) {
  for (let at = 2; ; at += 2 + view.getUint16(at + 2)) {
    const marker = view.getUint16(at);
    if (marker < 0xff00) return undefined;
    const isFrame = marker >= 0xffc0 && marker <= 0xffcf && ![0xffc4, 0xffc8, 0xffcc].includes(marker);
    if (isFrame) return { width: view.getUint16(at + 7), height: view.getUint16(at + 5) };
  }
}
