// What is said of a run that failed: what is wrong first, and what led to it next, for only the beginning of a long
// message may be shown.

const lately = 8; // rows of the ledger
const ofOne = 16; // … of the accounts that the message names
const logged = 25; // lines of refkey's log

const dids = /did:(?:plc:[a-z2-7]{24}|web:[\w.%]+)/g;

const part = (title, lines) => (lines.length ? [title, ...lines] : []);

export function report(run, error, differences) {
  const rows = run.ledger.rows;
  const head = [error.message, ...run.served.slice(0, 3).map((what) => `answered: ${what}`), ...differences];
  const named = [...new Set(head.join('\n').match(dids))].slice(0, 3);
  const about = rows.filter((row) => named.some((did) => row.includes(did)));
  return [
    ...head,
    `in ${run.doing}; to repeat it: SEED=${run.ledger.seed} make test ONLY=sim. The ledger ends with:`,
    ...rows.slice(-lately),
    ...part(`of ${named.join(', ')} it says:`, about.slice(-ofOne)),
    `refkey's log ends with:`,
    run.refkey?.child?.tail(logged),
    'the whole ledger:',
    ...rows,
  ].join('\n');
}
