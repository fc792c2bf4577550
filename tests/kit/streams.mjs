// A MongoDB server with change streams: what FerretDB lacks, in front of it. Everything else is passed on as it is.
//
//   const streams = await startStreams(scene.mongo.port);
//   new Refkey({ REFKEY_MONGO_URI: streams.uri, … });
//   streams.tell('moods');          // something has changed
//   streams.watching('moods').log   // what the connection that watches it was asked: 'watch', 'getMore', 'told', 'find', …

import net from 'node:net';
import { BSON } from 'mongodb';

const OP_MSG = 2013;
const HOLD_MS = 200; // an answer without a change

class Connection {
  log = [];
  changed = () => {};

  constructor(streams, client, port) {
    Object.assign(this, { streams, client, server: net.connect(port, '127.0.0.1') });
    let bytes = Buffer.alloc(0);
    client.on('data', (more) => {
      bytes = Buffer.concat([bytes, more]);
      for (let len; bytes.length >= 4 && bytes.length >= (len = bytes.readInt32LE(0)); bytes = bytes.subarray(len))
        this.#asked(bytes.subarray(0, len));
    });
    this.server.on('data', (more) => client.write(more));
    for (const [one, other] of [[client, this.server], [this.server, client]])
      one.on('error', () => {}).on('close', () => other.destroy());
  }

  #asked(message) {
    const command =
      message.readInt32LE(12) === OP_MSG
        ? BSON.deserialize(message.subarray(21), { allowObjectSmallerThanBufferSize: true })
        : {};
    const [name] = Object.keys(command);
    if (command.pipeline?.[0]?.$changeStream) {
      this.log.push('watch');
      this.collection = command.aggregate;
      if (this.streams.none) return void this.server.write(message);
      return this.#answer(message, 'firstBatch', []);
    }
    this.log.push(name);
    if (name === 'getMore' && command.collection === this.collection) return void this.#wait(message);
    this.server.write(message);
  }

  async #wait(message) {
    if (!this.pending) {
      await new Promise((resolve) => {
        this.changed = resolve;
        setTimeout(resolve, HOLD_MS);
      });
    }
    const changes = this.pending ? [{ _id: { _data: '8200' } }] : [];
    if (this.pending) this.log.push('told');
    this.pending = false;
    this.#answer(message, 'nextBatch', changes);
  }

  #answer(message, batch, list) {
    const cursor = { id: BSON.Long.fromNumber(7), ns: `aesthetic.${this.collection}`, [batch]: list };
    const body = BSON.serialize({ ok: 1, cursor });
    const head = Buffer.alloc(21);
    [head.length + body.length, 1, message.readInt32LE(4), OP_MSG].forEach((n, i) => head.writeInt32LE(n, i * 4));
    this.client.write(Buffer.concat([head, body]));
  }
}

class Streams {
  connections = [];
  none = false; // the server is asked itself

  constructor(port) {
    this.server = net.createServer((client) => this.connections.push(new Connection(this, client, port)));
  }

  get uri() {
    return `mongodb://127.0.0.1:${this.server.address().port}/?serverSelectionTimeoutMS=30000&connectTimeoutMS=30000&socketTimeoutMS=60000`;
  }

  watching(collection) {
    return this.connections.findLast((c) => c.collection === collection);
  }

  tell(collection) {
    const connection = this.watching(collection);
    connection.pending = true;
    connection.changed();
  }

  async close() {
    for (const { client } of this.connections) client.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

export async function startStreams(port) {
  const streams = new Streams(port);
  await new Promise((resolve) => streams.server.listen(0, '127.0.0.1', resolve));
  return streams;
}
