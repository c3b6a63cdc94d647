// The official server with the events of server_program.py. Its argument is the port; 0 takes a free one.
import { createServer } from "node:http";
import { Server } from "socket.io";

const http = createServer((request, response) => response.writeHead(404).end());
const io = new Server(http, { pingInterval: 500, pingTimeout: 2000 });

function serve(namespace) {
  const place = io.of(namespace);
  place.use((socket, next) => {
    socket.data.user = socket.handshake.auth.user ?? socket.handshake.query.user ?? "";
    if (socket.data.user !== "nobody") return next();
    const refusal = new Error("who are you?");
    refusal.data = { known: ["ann", "bob"] };
    return next(refusal);
  });
  place.on("connection", (socket) => {
    socket.on("disconnect", (reason) => console.log(JSON.stringify({ gone: socket.data.user, namespace, reason: [reason] })));
    socket.on("echo", (...data) => data.pop()(...data));
    socket.on("say", (...data) => socket.emit("said", ...data));
    socket.on("who am i", (done) => done(socket.data.user));
    socket.on("join", (room, done) => (socket.join(room), done(true)));
    socket.on("leave", (room, done) => (socket.leave(room), done(true)));
    socket.on("tell", (room, ...data) => {
      const done = data.pop();
      (room ? place.to(room) : place).emit("told", ...data);
      done(true);
    });
    socket.on("tell others", (room, ...data) => {
      const done = data.pop();
      socket.to(room).emit("told", ...data);
      done(true);
    });
    socket.on("close", (room, done) => (place.socketsLeave(room), done(true)));
    socket.on("count", (number) => {
      for (let value = 0; value < number; value++) socket.emit("number", value);
    });
    socket.on("ask", (other, question) => socket.emit("question", question, (...answer) => socket.emit("answered", ...answer)));
    socket.on("call", (other, question, done) => socket.emit("question", question, (...answer) => done(...answer)));
    socket.on("end", () => socket.disconnect());
    socket.on("end connection", () => socket.disconnect(true));
  });
}

serve("/");
serve("/second");
http.listen(Number(process.argv[2]), "127.0.0.1", () => console.log(`listening at http://127.0.0.1:${http.address().port}`));
