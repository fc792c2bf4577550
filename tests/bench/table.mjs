// Figures, and the one table that the bench prints.

export function quantile(values, q) {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const low = Math.floor(at);
  return sorted[low] + (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]) * (at - low);
}

export const median = (values) => quantile(values, 0.5);

// Three significant digits, thousands apart.
export function number(x) {
  const digits = x === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(x))));
  const rounded = x >= 1000 ? Number(x.toPrecision(3)) : x;
  return rounded.toLocaleString('en-US', { maximumFractionDigits: digits, minimumFractionDigits: digits });
}

const spread = (values) => `${median(values).toFixed(2)} (${Math.min(...values).toFixed(2)}–${Math.max(...values).toFixed(2)})`;

export class Table {
  #rows = [];

  // A figure below a limit that is a number itself: the median of `values`, or their quantile.
  limit(what, value, unit, most, note = '') {
    const ratio = value / most;
    this.#add(what, `${number(value)} ${unit}`, `${number(most)} ${unit}${note && `, ${note}`}`, ratio.toFixed(2), '≤ 1.00', ratio <= 1);
  }

  // A figure against a peer's of the same rounds: medians of both, and of the ratio of each round.
  // least: what the ratio has to reach; most: what it may not pass; neither: shown only.
  peer(what, { unit, ours, theirs, peer, least, most, ratios }) {
    ratios ??= ours.map((x, i) => x / theirs[i]);
    const ratio = median(ratios);
    const goal = least !== undefined ? `≥ ${least.toFixed(2)}` : most !== undefined ? `≤ ${most.toFixed(2)}` : '';
    const ok = goal ? (least !== undefined ? ratio >= least : ratio <= most) : undefined;
    this.#add(what, `${number(median(ours))} ${unit}`, `${number(median(theirs))} ${unit}, ${peer}`, spread(ratios), goal, ok);
  }

  // A figure that is only shown.
  plain(what, value, unit, note = '') {
    this.#add(what, `${number(value)} ${unit}`, note, '', '', undefined);
  }

  #add(what, figure, peer, ratio, goal, ok) {
    this.#rows.push([what, figure, peer, ratio, goal, ok === undefined ? '' : ok ? 'ok' : 'not']);
  }

  toString() {
    const rows = [['what', 'figure', 'limit or peer', 'ratio', 'goal', ''], ...this.#rows];
    const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
    const line = (row) => row.map((cell, i) => cell.padEnd(widths[i])).join('  ').trimEnd();
    const rule = widths.map((w) => '-'.repeat(w)).join('  ');
    return [line(rows[0]), rule, ...rows.slice(1).map(line)].join('\n');
  }
}
