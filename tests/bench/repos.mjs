// PLC directory and PDS in one, of repos made beforehand as the reference implementation makes them:
//   node repos.mjs REPOS RECORDS     prints its URL, then serves until it is ended
//   node repos.mjs CAR               the one repo that bench_car made
import { createReadStream } from 'node:fs';
import http from 'node:http';
import { MemoryBlockstore, Repo, WriteOpAction, blocksToCarFile } from '@atproto/repo';
import { Secp256k1Keypair } from '@atproto/crypto';
import { WebSocketServer } from 'ws';
import { objectId } from '../kit/shapes.mjs';

const file = process.argv.length === 3 ? process.argv[2] : undefined;
const [count, records] = file ? [1, 0] : process.argv.slice(2).map(Number);
const letters = 'abcdefghijklmnopqrstuvwxyz234567';
const repos = new Map();
const server = http.createServer(answer);
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const url = `http://127.0.0.1:${server.address().port}`;

const key = await Secp256k1Keypair.import('01'.repeat(32));
const multibase = key.did().slice('did:key:'.length);
for (let n = 0; n < count; n++) {
  let id = '';
  for (let i = 0, left = n; i < 24; i++, left = Math.floor(left / 32)) id += letters[left % 32];
  const did = `did:plc:${id}`;
  const writes = Array.from({ length: records }, (_, i) => ({
    action: WriteOpAction.Create,
    collection: 'computer.aesthetic.mood',
    rkey: `3k${String(n).padStart(5, '2').replace(/[01890]/g, 'a')}${[...String(i).padStart(6, '0')].map((d) => letters[d]).join('')}`,
    record: {
      $type: 'computer.aesthetic.mood',
      mood: `mood ${i} of ${n}`,
      when: new Date(1.7e12 + i * 1000).toISOString(),
      ref: String(objectId()),
    },
  }));
  const storage = new MemoryBlockstore();
  const repo = await Repo.create(storage, did, key, writes);
  repos.set(did, {
    car: Buffer.from(await blocksToCarFile(repo.cid, storage.blocks)),
    head: String(repo.cid),
    rev: repo.commit.rev,
    handle: `user${n}.test`,
  });
}
const dids = [...repos.keys()];
const byHandle = new Map(dids.map((did) => [repos.get(did).handle, did]));

function document(did) {
  return {
    id: did,
    alsoKnownAs: [`at://${repos.get(did).handle}`],
    verificationMethod: [{ id: `${did}#atproto`, type: 'Multikey', controller: did, publicKeyMultibase: multibase }],
    service: [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint: url }],
  };
}

function answer(req, res) {
  const { pathname, searchParams: q } = new URL(req.url, url);
  const json = (body) => {
    res.writeHead(200, { 'content-type': 'application/json' });
    res.end(JSON.stringify(body));
  };
  switch (pathname) {
    case '/xrpc/com.atproto.server.describeServer':
      return json({ did: 'did:web:localhost', availableUserDomains: [] });
    case '/xrpc/com.atproto.sync.listRepos': {
      const from = Number(q.get('cursor') ?? 0);
      const page = dids.slice(from, from + 500);
      const list = page.map((did) => ({ did, head: repos.get(did).head, rev: repos.get(did).rev, active: true }));
      return json({ repos: list, ...(from + 500 < dids.length && { cursor: String(from + 500) }) });
    }
    case '/xrpc/com.atproto.sync.getRepo':
      res.writeHead(200, { 'content-type': 'application/vnd.ipld.car' });
      if (file) return createReadStream(file).pipe(res);
      return res.end(repos.get(q.get('did')).car);
    case '/xrpc/com.atproto.identity.resolveHandle':
      return json({ did: byHandle.get(q.get('handle')) });
    default:
      if (repos.has(pathname.slice(1))) return json(document(pathname.slice(1)));
      res.writeHead(404);
      return res.end('{}');
  }
}
const sockets = new WebSocketServer({ noServer: true });
server.on('upgrade', (...a) => sockets.handleUpgrade(...a, () => {}));
console.log(url);
