// fauxqs' own start listens on every interface; this one only on the loopback
// interface, on the port in its first argument.
import { buildApp } from "fauxqs";

const app = buildApp({ logger: false });
await app.listen({ host: "127.0.0.1", port: Number(process.argv[2]) });
