// Runs one case in Node: node node_runner.js '<name>' '<arguments as JSON>'. Prints what the case returns, one line of JSON.
import { Socket } from "engine.io-client";
import { run } from "./cases.js";

const [name, args] = process.argv.slice(2);
const result = await run(name, (url, options) => new Socket(url, options), JSON.parse(args));
// After a case that went well Node ends by itself, once the client's last requests (its goodbye among them) are through.
process.stdout.write(JSON.stringify(result) + "\n", () => "failure" in result && process.exit(0));
