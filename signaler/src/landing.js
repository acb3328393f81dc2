const url = new URL(".", location.href.replace(/^http/, "ws")).href.replace(/\/$/, "");
document.getElementById("code").textContent = `connect({ signalers: ["${url}"] })`;

const show = (rows) => {
  const list = document.getElementById("counters");
  list.replaceChildren(
    ...rows.flatMap(([name, value]) => {
      const dt = document.createElement("dt");
      const dd = document.createElement("dd");
      dt.textContent = name;
      dd.textContent = value;
      return [dt, dd];
    }),
  );
};

const refresh = async () => {
  try {
    const now = await (await fetch("healthz")).json();
    const up = now.siblings.filter((sibling) => sibling.up).length;
    show([
      ["Status", now.status],
      ["Id", now.id],
      ["Version", now.version],
      ["Up for", `${now.uptime_s} s`],
      ["Peers", now.peers],
      ["Swarms", now.swarms],
      ["Siblings", `${up} of ${now.siblings.length} connected`],
      ["Envelopes delivered", now.delivered],
      ["Payloads fanned out", now.fanned],
    ]);
  } catch {
    show([["Status", "out of reach"]]);
  }
  setTimeout(refresh, 2000);
};
refresh();
