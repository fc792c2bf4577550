// Runs one server of the kit in a process of its own, which a test can kill:
// node server.mjs plc|pds '{"port":…, …}'. Prints "ready" when it listens.
// pds.mjs is the other side.

// As long as the PDS keeps a connection. Node's own five seconds end one that still has a request to be read
// where the process stood still for longer.
const KEPT_MS = 90_000;

const [role, json] = process.argv.slice(2);
const config = JSON.parse(json);
const roles = { plc: startPlc, pds: startPds };

const stop = await roles[role](config);
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, async () => {
    await stop();
    process.exit(0);
  });
}
console.log('ready');

// The directory keeps its operations in memory only.
async function startPlc({ port }) {
  const { default: plc } = await import('@did-plc/server');
  const server = plc.PlcServer.create({ db: plc.Database.mock(), port });
  onLoopback(server.app);
  const listening = await server.start();
  listening.keepAliveTimeout = KEPT_MS;
  return () => server.destroy();
}

async function startPds({ publicUrl, ...env }) {
  const { PDS, envToCfg, envToSecrets } = await import('@atproto/pds');
  const cfg = envToCfg(env);
  if (publicUrl) cfg.service.publicUrl = publicUrl;
  const pds = await PDS.create(cfg, envToSecrets(env));
  onLoopback(pds.app);
  await pds.start();
  return () => pds.destroy();
}

// Both would listen on every address of the machine.
function onLoopback(app) {
  const listen = app.listen.bind(app);
  app.listen = (port, ...rest) => listen(port, '127.0.0.1', ...rest);
}
