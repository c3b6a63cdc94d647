// Runs cases in Node for as long as its standard input is open: each line is {number, name, args}, each line printed is what
// that case returned, with its number. Cases may run side by side.
import { createInterface } from "node:readline";
import { io } from "socket.io-client";
import { run } from "./cases.js";

for await (const line of createInterface({ input: process.stdin })) {
  const { number, name, args } = JSON.parse(line);
  run(name, io, args).then((result) => process.stdout.write(`${JSON.stringify({ number, ...result })}\n`));
}
