/** Made by build.mjs: the wasm, gzipped, in base64. */
declare const base64: string;
export default base64;
