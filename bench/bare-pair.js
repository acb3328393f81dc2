// In two pages of one origin: a bare pair of RTCPeerConnections, the least that any mesh of browsers has to wait for.

/**
 * One end. The one that offers resolves with the milliseconds from its first line to the other's first message.
 * Descriptions and candidates go through a BroadcastChannel, at once, as they come.
 */
globalThis.bareEnd = (offers) => {
  const start = performance.now();
  const signals = new BroadcastChannel("signals");
  const connection = new RTCPeerConnection();
  const channel = connection.createDataChannel("bare", { negotiated: true, id: 0 });
  connection.onicecandidate = ({ candidate }) => {
    if (candidate !== null) signals.postMessage({ candidate: candidate.toJSON() });
  };
  const describe = async () => {
    await connection.setLocalDescription();
    signals.postMessage({ description: connection.localDescription.toJSON() });
  };
  let last = Promise.resolve();
  signals.onmessage = ({ data }) => {
    last = last.then(async () => {
      if (data.candidate !== undefined) return await connection.addIceCandidate(data.candidate);
      await connection.setRemoteDescription(data.description);
      if (data.description.type === "offer") await describe();
    });
  };
  if (!offers) {
    channel.onopen = () => channel.send("first");
    return undefined;
  }
  last = describe();
  return new Promise((resolve) => {
    channel.onmessage = () => resolve(performance.now() - start);
  });
};
