/** QR codes: drawn of a link, and read by the camera. Where the browser reads none itself, the reader is loaded when it is first needed. */

import encodeQR from "qr";
import { s } from "../dom.js";

/** Modules of quiet around a code (ISO/IEC 18004, section 6.3.8). */
const QUIET = 4;
/** Pixels of the longer side of what is searched for a code. */
const SEEN = 720;

/** A code as a picture; dark on light in any colour scheme, for cameras. */
export function drawCode(text: string, label: string): SVGElement {
  const rows = encodeQR(text, "raw", { ecc: "low", border: QUIET });
  const side = rows.length;
  const dark = rows.flatMap((row, y) => row.flatMap((on, x) => (on ? [`M${x} ${y}h1v1h-1z`] : [])));
  const svg = s("svg", {
    viewBox: `0 0 ${side} ${side}`,
    role: "img",
    "aria-label": label,
    "shape-rendering": "crispEdges",
  });
  svg.append(
    s("rect", { width: side, height: side, fill: "#ffffff" }),
    s("path", { d: dark.join(""), fill: "#000000" }),
  );
  return svg;
}

/** What reads codes out of a picture of the camera. */
type Reader = (video: HTMLVideoElement) => Promise<string | undefined>;

interface Detector {
  detect(source: HTMLVideoElement): Promise<readonly { readonly rawValue: string }[]>;
}

async function reader(): Promise<Reader> {
  const { BarcodeDetector } = globalThis as unknown as {
    BarcodeDetector?: (new (options: object) => Detector) & { getSupportedFormats(): Promise<string[]> };
  };
  const formats = await BarcodeDetector?.getSupportedFormats().catch((): string[] => []);
  if (BarcodeDetector && formats?.includes("qr_code")) {
    const detector = new BarcodeDetector({ formats: ["qr_code"] });
    return async (video) => (await detector.detect(video).catch(() => []))[0]?.rawValue;
  }
  const { decodeQR } = await import("qr/decode.js");
  const canvas = document.createElement("canvas");
  return async (video) => {
    const scale = Math.min(1, SEEN / Math.max(video.videoWidth, video.videoHeight));
    canvas.width = Math.round(video.videoWidth * scale);
    canvas.height = Math.round(video.videoHeight * scale);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    if (context === null || canvas.width === 0) return undefined;
    context.drawImage(video, 0, 0, canvas.width, canvas.height);
    try {
      return decodeQR(context.getImageData(0, 0, canvas.width, canvas.height));
    } catch {
      // No code in this picture.
      return undefined;
    }
  };
}

/** Reads the first code that the camera sees; undefined if it was aborted. Rejects where there is no camera. */
export async function scan(video: HTMLVideoElement, signal: AbortSignal): Promise<string | undefined> {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  try {
    video.srcObject = stream;
    await video.play();
    const read = await reader();
    while (!signal.aborted) {
      const text = await read(video);
      if (text) return text;
      await new Promise((next) => setTimeout(next, 120));
    }
    return undefined;
  } finally {
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
  }
}
