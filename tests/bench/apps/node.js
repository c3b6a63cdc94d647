// The measured Node server: the application of wsgi.py on the JavaScript reference, default options.
//
//   node node.js FD        NODE_PATH names the folder that holds the engine.io package
"use strict";

const http = require("http");
const { Server } = require("engine.io");

const httpServer = http.createServer((request, response) => {
  response.statusCode = 404;
  response.end();
});
const server = new Server();
server.attach(httpServer);

const connected = new Set();
server.on("connection", (socket) => {
  connected.add(socket);
  socket.on("close", () => connected.delete(socket));
  socket.on("message", (data) => {
    if (typeof data === "string" && data.startsWith("broadcast:")) {
      for (const receiver of connected) receiver.send(data);
    } else {
      socket.send(data);
    }
  });
});

httpServer.listen({ fd: Number(process.argv[2]) });
