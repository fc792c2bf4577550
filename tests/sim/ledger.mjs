// What was done in one run: every lie with the verdict it must be counted under, every fault with what it
// gives reason to fetch, every forged record that must never be answered.

export class Ledger {
  constructor(seed) {
    this.seed = seed;
    this.rows = [];
    this.kinds = new Map(); // kind → times
    this.refused = new Map(); // verdict → times; "a|b": either
    this.fetches = new Map(); // DID → how often its repo may be fetched
    this.forged = []; // { ref, uri }
  }

  // text undefined: what was done has rows already.
  note(kind, text) {
    if (text !== undefined) this.rows.push(`${String(this.rows.length).padStart(4)}  ${kind} ${text}`.trimEnd());
    this.kinds.set(kind, (this.kinds.get(kind) ?? 0) + 1);
  }

  lie(kind, verdict, did, forged = []) {
    this.note(kind, `${did}: must be refused as ${verdict}`);
    this.refused.set(verdict, (this.refused.get(verdict) ?? 0) + 1);
    this.forged.push(...forged);
  }

  // Reason to fetch the account's repo, once.
  gap(did, why) {
    this.fetches.set(did, (this.fetches.get(did) ?? 0) + 1);
    this.rows.push(`${String(this.rows.length).padStart(4)}      ${did} may be fetched: ${why}`);
  }

  // counted: verdict → times, as refkey says. A text for each that differs.
  differences(counted) {
    const left = new Map(Object.entries(counted).filter(([, n]) => n));
    const wrong = [];
    // What has one name first, what may have several takes what is left.
    for (const [verdicts, times] of [...this.refused].sort(([a], [b]) => a.split('|').length - b.split('|').length)) {
      let missing = times;
      for (const verdict of verdicts.split('|')) {
        const taken = Math.min(missing, left.get(verdict) ?? 0);
        missing -= taken;
        left.set(verdict, (left.get(verdict) ?? 0) - taken);
      }
      if (missing) wrong.push(`${verdicts}: ${times} in the ledger, ${times - missing} counted`);
    }
    for (const [verdict, n] of left) if (n) wrong.push(`${verdict}: ${n} more counted than in the ledger`);
    return wrong;
  }
}
