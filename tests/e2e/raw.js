// In the page of an intruder: a bare connection, whose signals and frames the test makes itself.
globalThis.raw = {
  candidates: [],
  received: [],
  opened: false,
  closed: false,

  /** Begins a connection; gives the description without candidates. */
  async offer() {
    const pc = new RTCPeerConnection();
    const channel = pc.createDataChannel("weft", { negotiated: true, id: 0, ordered: true });
    channel.binaryType = "arraybuffer";
    Object.assign(raw, { pc, channel });
    channel.onopen = () => {
      raw.opened = true;
    };
    channel.onclose = () => {
      raw.closed = true;
    };
    channel.onmessage = ({ data }) => raw.received.push(btoa(String.fromCharCode(...new Uint8Array(data))));
    pc.onicecandidate = ({ candidate }) => {
      if (candidate?.candidate) raw.candidates.push(candidate.toJSON());
    };
    await pc.setLocalDescription();
    return pc.localDescription.sdp;
  },

  gathered: () => raw.pc?.iceGatheringState === "complete" && raw.candidates.length > 0,

  async answer(sdp, candidates) {
    await raw.pc.setRemoteDescription({ type: "answer", sdp });
    await raw.add(candidates);
  },

  async add(candidates) {
    for (const candidate of candidates) await raw.pc.addIceCandidate(candidate);
  },

  send(texts) {
    for (const text of texts) {
      raw.channel.send(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)));
    }
  },
};
