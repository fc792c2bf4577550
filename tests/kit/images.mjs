// Images, and a server that has them and does wrong where it is told.
//
//   const images = await startImages();
//   new Refkey({ REFKEY_TEST_IMAGES: images.url, … });
//   images.set(code, { body: png(64, 64) });          // at /media/paintings/CODE
//   images.set(code, { status: 404 }), { hang: true }, { drip: ms }, { reset: true }, { repeat: bytes, chunked: true },
//     { body, hold: promise } (answers then)
//   images.requests: the codes that were asked for, in order.

import http from 'node:http';
import { crc32, deflateSync } from 'node:zlib';

function chunk(type, data) {
  const out = Buffer.alloc(12 + data.length);
  out.writeUInt32BE(data.length, 0);
  out.write(type, 4, 'latin1');
  data.copy(out, 8);
  out.writeUInt32BE(crc32(out.subarray(4, 8 + data.length)), 8 + data.length);
  return out;
}

// bits 8: RGBA, of pixel(x, y) or transparent; 1: black and white.
export function png(width, height, { pixel, bits = 8, level = 6 } = {}) {
  const row = 1 + (bits === 1 ? Math.ceil(width / 8) : 4 * width);
  const raw = Buffer.alloc(row * height);
  for (let y = 0; pixel && y < height; y++) {
    for (let x = 0; x < width; x++) raw.set(pixel(x, y), y * row + 1 + 4 * x);
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head[8] = bits;
  head[9] = bits === 1 ? 0 : 6;
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', head),
    chunk('IDAT', deflateSync(raw, { level })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

// A drawing that differs by its number, as paintings are: few colours, large areas.
export function drawing(number, side = 64) {
  const colours = Array.from({ length: 4 }, (_, i) => [(number * 37 + i * 80) & 255, (number * 11 + i * 50) & 255, (i * 60) & 255, 255]);
  return png(side, side, { pixel: (x, y) => colours[((x * 4) / side + (y * 3) / side + number) & 3] });
}

// { type, width, height } of a PNG or JPEG.
export function dimensions(bytes) {
  if (bytes.subarray(1, 4).toString('latin1') === 'PNG')
    return { type: 'image/png', width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) };
  for (let at = 2; at + 9 < bytes.length; at += 2 + bytes.readUInt16BE(at + 2)) {
    if (bytes[at + 1] >= 0xc0 && bytes[at + 1] <= 0xc2)
      return { type: 'image/jpeg', width: bytes.readUInt16BE(at + 7), height: bytes.readUInt16BE(at + 5) };
  }
  throw new Error('neither PNG nor JPEG');
}

// 640 x 320 pixels.
export const jpeg = Buffer.from(
  `
   /9j/2wBDACgcHiMeGSgjISMtKygwPGRBPDc3PHtYXUlkkYCZlo+AjIqgtObDoKrarYqMyP/L2u71////m8H////6/+b9//j/2wBDASstLTw1PH
   ZBQXb4pYyl+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj/wAARCAFAAoADASIAAhEBAxEB/8QAFgAB
   AQEAAAAAAAAAAAAAAAAAAAEF/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/EABcBAQEBAQAAAAAAAAAAAAAAAAABBQT/xAAUEQEAAAAAAAAAAAAAAA
   AAAAAA/9oADAMBAAIRAxEAPwDGAABQAFUBQAFUFAABQUUABQUAAVRQAAVRQAAFFBQAFFBQAFFAAFVUUAAUVFBQBRUUFAFFRQABVUAABVUAABRQ
   BQBRQAAFUABQUUABWWoOBmAACgKAKCgAAqigACiooKAKKigACqqKAAKqgAAKKAKAKKAKAKKAAAqqAACgoAoCgoAoCgoAAoKoAAoKoAAoCgCgoC
   gACgoAoqKCjLBWezABQBRQAUBVAAAFVQAAFFAFAUFAABRVAAFBVAAFAUAUFAUAUFAUAAUFUBQRQFAVRFAUBVEUBQFBFBVAUABVAUAAUBVAAUBQ
   AFUFAZYDgZgoAAKCgKAAKCqAAKCqAoIoCgKoigKAoIoKoCgAKoCgACgKoACgKoACgKAAqgKAAKCigAKCigAKCgACqKAACqKAAAooKAAooAAqjL
   AZ7MAVVAAAVVAAAUUAUAUABVBQAAUFFAAUFAAFUFAAFUUAABRQUABRQUABRQABVVFAAFFRQUAUVFBQBRUUAAVVAAAVVAAAUUAUAUUABlijgZgA
   AKKoAAoKAAooCgCgoAAKooAAoqKCgCiooAAqqigACqqKAAKKAKAKKAKAKKAAAqqAACgoAoCgoAoCgoAAoKoAAKKoAAoCgCgoCssFcDLRQFAUAB
   VAUABQBRQAAFVQAAFVQAAFFAFAUFAABRVAAFBVAAFAUAUFAUAUFAUAAUFUBQRQFAVRFAUBVEUBQFBFBVAUABVAUAAUBVGWAz2YCigAKKAACqKA
   ACqKAAAooKAACgqgKCKAoCqIoCgKCKCqAoACqAoAAoCqAAoCqAAoCgAKoCgACgooACgooACgoAAqigAAqigAAKy1BwMsBRUUFAFFRQABVUAABV
   AAUBRQBQBQAFUFAABQUUABQUAAVQUAAVRQAAFFBQAFFBQAFFAABVFAAFFRQUAUVFBQBRUUAAVVAAAVVAAZYo4GYAACgoAoCgoAAKKoAAoKAAoo
   AAKooAAKooAAoqKCgCiooAAqqigACqqKAAKKAKAKKAKAKKAAAqqAACgoAoCgoAoCgoAAoKoAAoKrLBWey0UFUBQRQFAVRFAUBQAFUBQAFUBQAA
   AVVAAAVVAAAUUAUBQUAAFFUAAFFUAAUBQBQUBQBQUBQABQVQFBFAUBVEUBQFURQFAUEUFUBQZYDgZgKAAKoKAACgooACigAAqigAAoKAoAKKCg
   AAoKoAAoCgKoigKAoIoKoCgigqgKAAKAqgAKAqgAKAoACqAoAAoKKAAoKKAAoKAAKrLUGeywFVUUAAVVRQABRUUFAFFRQABVUAABVAAUBQAFUB
   QAFUFAABQUUABQUAAVQUAAVRQAAFFBQAFFBQAFFAABVFAAFFRQUAUVFBQBRUUAZYK4GYAAAqqAACiqAACgoAoCgoAAKKoAAoKoAAoCgCgoAAKo
   oAAoqKCgCiooAAqqigACqqKAAKKAKAKKAKAKKAAAqqAACgoAoCgoAoCgrLAcDLFAUAAUFUBQRQVQFBFAUBVEUBQFAAVQFAAUAUUAABVUAABVUA
   ABRQBQFBQAAUVQAAUVQABQFAFBQFAFBQFAAFBVAUEUBQFURQFAVRlgM9mAKoACgKAAqgoAAqgoAAKCigAKCgACqCgACqKAAAooKAACgqgACgKA
   qiKAoCgigqgKCKCqAoAAoCqAAoCqAAoCgAKoCgACgooACstQcDLABRQUABRQABVVFAABVFAAFFRQUAUVFAAFVQAAFVQAAFFAFAFAAVQFAAFBRQ
   AFBQABVBQABVFAAAUUFAAUUFAAUUAAFUUAAUVFBRlgrPZgAoAooAoAooAACqoAAKKoAAKCgCgKCgAAoqgACgoACigKAKCgAAqigAAKKCgCiooA
   AqqigACqqKAAKKAKAKKAKAKKAAAqqAAAorLAcDLFAUAUFAUAUFAUAAUFUAAUFUBQRQFAVRFAUBQAFUBQAFAFFAAAVVAAAVVAAAUUAUBQUAAFFU
   AAFFUAAUBQBQUBQBQUBQABQVQFBlKDgZgCgACgKoACgKoACgKAAqgoAAqgoAAKCigAKCgACqCgACgoCgACgqgACgqgACgKAqiKAoCgigqgKCKC
   qAoAAoCqAAoCqAAoCgAKr//Z
  `,
  'base64',
);

export class Images {
  constructor() {
    this.all = new Map();
    this.requests = [];
  }

  set(code, answer) {
    this.all.set(code, answer);
  }

  count(code) {
    return this.requests.filter((c) => c === code).length;
  }

  async start() {
    this.server = http.createServer((req, res) => this.#answer(req, res));
    await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${this.server.address().port}`;
    return this;
  }

  close() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }

  async #answer(req, res) {
    const code = decodeURIComponent(req.url.replace('/media/paintings/', ''));
    const image = this.all.get(code) ?? { status: 404, body: 'no such painting' };
    this.requests.push(code);
    res.on('error', () => {});
    if (image.hang) return undefined;
    await image.hold;
    if (image.reset) return req.socket.resetAndDestroy();
    if (image.times !== undefined && image.times-- <= 0) Object.assign(image, { status: 200, times: undefined });
    const size = image.repeat ?? image.body?.length ?? 0;
    const head = { 'content-type': image.type ?? 'image/png', ...image.headers };
    if (!image.chunked) head['content-length'] = size;
    res.writeHead(image.status ?? 200, head);
    if (image.repeat) return this.#repeat(res, image, image.repeat);
    if (image.drip === undefined) return res.end(image.body);
    // Byte by byte.
    let at = 0;
    const timer = setInterval(() => {
      if (res.destroyed || at === size) clearInterval(timer);
      if (at === size) res.end();
      else res.write(image.body.subarray(at, ++at));
    }, image.drip);
    res.on('close', () => clearInterval(timer));
  }

  // So many bytes that begin like the image.
  #repeat(res, image, left) {
    const block = Buffer.alloc(1 << 20);
    image.body?.copy(block);
    const more = () => {
      while (left > 0 && !res.destroyed) {
        const some = block.subarray(0, Math.min(left, block.length));
        left -= some.length;
        if (!res.write(some)) return res.once('drain', more);
      }
      return res.end();
    };
    more();
  }
}

export const startImages = () => new Images().start();
