// What is drawn from a seed: numbers, choices, bytes, and identifiers made of them. The same seed draws
// the same, in the same order.

import { TID } from '@atproto/common-web';
import { numbers } from '../e2e/random.mjs';

const letters = 'abcdefghijklmnopqrstuvwxyz234567';

export class Chance {
  constructor(seed) {
    this.next = numbers(seed);
    // The network's own time: always past, so that nothing depends on when the seed is run.
    this.us = Date.UTC(2025, 0, 1) * 1000 + this.int(1 << 30) * 1000;
  }

  // 0 … below n.
  int(n) {
    return Math.floor(this.next() * n);
  }

  // from … to, both included.
  between(from, to) {
    return from + this.int(to - from + 1);
  }

  odds(share) {
    return this.next() < share;
  }

  pick(list) {
    return list[this.int(list.length)];
  }

  // rows: [[weight, value], …]
  weighted(rows) {
    let at = this.next() * rows.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, value] of rows) if ((at -= weight) < 0) return value;
    return rows.at(-1)[1];
  }

  bytes(n) {
    return Uint8Array.from({ length: n }, () => this.int(256));
  }

  text(n) {
    return Array.from({ length: n }, () => this.pick(letters)).join('');
  }

  did() {
    return `did:plc:${this.text(24)}`;
  }

  // A MongoDB _id whose own time is past.
  ref() {
    const bytes = Buffer.from(this.bytes(12));
    bytes.writeUInt32BE(Math.floor(this.us / 1e6) - 86_400, 0);
    return bytes.toString('hex');
  }

  // Each one is later than all before it.
  tid() {
    this.us += 1_000_000;
    return TID.fromTime(this.us, this.int(1024)).toString();
  }

  pass(seconds) {
    this.us += seconds * 1_000_000;
  }

  get time() {
    return new Date(this.us / 1000).toISOString();
  }
}

// A rev before all others.
export const farPastTid = TID.fromTime(Date.UTC(2010, 0, 1) * 1000, 1).toString();
// A rev that no clock has come to.
export const farTid = TID.fromTime(Date.UTC(2200, 0, 1) * 1000, 1).toString();
