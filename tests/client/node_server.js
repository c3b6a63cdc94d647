// The official server as the client's tests want it: echoes, obeys {"cmd": ...}, says where it listens.
// node node_server.js '{"pingInterval": 300, ...}'
import { createServer } from "node:http";
import { Server } from "engine.io";

const options = JSON.parse(process.argv[2] ?? "{}");
const http = createServer();
const server = new Server({
  ...options,
  allowRequest: (request, done) => done(request.url.includes("reject=1") ? "go away" : null, !request.url.includes("reject=1")),
});
server.attach(http);

server.on("connection", (socket) => {
  socket.on("message", (data) => {
    const command = typeof data === "string" && data.startsWith('{"cmd"') ? JSON.parse(data) : {};
    if (command.cmd === "disconnect") {
      for (let number = 0; number < (command.n ?? 0); number++) socket.send(`${number}:`);
      socket.close();
    } else {
      socket.send(data);
    }
  });
  socket.on("close", (reason) => console.log(`closed ${socket.id} ${reason}`));
});
http.listen(0, "127.0.0.1", () => console.log(`listening at http://127.0.0.1:${http.address().port}`));
