/** Values as bytes, to be sealed: JSON, and byte strings in it. */

const BYTES = "$bytes";

/** The bytes of a value that is made of what JSON knows, and of byte strings. */
export function pack(value: unknown): Uint8Array<ArrayBuffer> {
  const text = JSON.stringify(value, (_, each: unknown) =>
    each instanceof Uint8Array ? { [BYTES]: toBase64(each) } : each,
  );
  return new TextEncoder().encode(text);
}

/** The value of such bytes. */
export function unpack(bytes: Uint8Array): unknown {
  return JSON.parse(new TextDecoder().decode(bytes), (_, each: unknown) => {
    const packed = (each as { [BYTES]?: unknown } | null)?.[BYTES];
    return typeof packed === "string" ? fromBase64(packed) : each;
  });
}

function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192)
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}

const fromBase64 = (text: string): Uint8Array => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
