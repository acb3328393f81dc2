/** bittorrent-tracker's WebSocket server on 127.0.0.1, without the client that its command loads as well: `node bench/tracker-server.mjs PORT`. */
import Server from "bittorrent-tracker/server";

const server = new Server({ http: false, udp: false, ws: true, stats: false });
server.listen(Number(process.argv[2]), "127.0.0.1");
