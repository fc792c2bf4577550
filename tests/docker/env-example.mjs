// docker/refkey.env.example as the table of settings makes it; a test compares.
// To make it anew:
//
//   build/refkey reference markdown | scripts/node tests/docker/env-example.mjs >docker/refkey.env.example

import { fileURLToPath } from 'node:url';
import { text } from 'node:stream/consumers';

// What differs beside the official PDS; the image itself sets the data folder.
const beside = { REFKEY_PDS_URL: 'http://localhost:3000' };
const ofImage = new Set(['REFKEY_DATA_DIR']);

const head = `Settings of refkey beside the official PDS; copy this to /pds/refkey.env (mode 0600).
One NAME=value a line, without quotes; only a value with $ in it stands in 'single ones'.
A setting that is commented out has the default that is shown.`;

const width = 90;

function comment(words) {
  const lines = [];
  let line = '#';
  for (const word of words.split(/\s+/)) {
    if (line.length + 1 + word.length > width) {
      lines.push(line);
      line = '#';
    }
    line += ` ${word}`;
  }
  return [...lines, line].join('\n');
}

// Rows of the settings table: [{ name, value?, otherwise?, help }].
function settingRows(reference) {
  const [, block] = /<!-- reference: settings -->\n([^]*?)<!-- end of reference -->/.exec(reference);
  return block
    .split('\n')
    .slice(2, -1)
    .map((row) => {
      const [name, , fallback, help] = row.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim().replaceAll('\\|', '|'));
      const value = /^`(.*)`$/.exec(fallback)?.[1];
      return { name: name.slice(1, -1), value, otherwise: value === undefined ? fallback : undefined, help };
    });
}

export function envExample(reference) {
  const parts = settingRows(reference)
    .filter(({ name }) => !ofImage.has(name))
    .map(({ name, value, otherwise, help }) => {
      if (name in beside) return `${comment(help)}\n${name}=${beside[name]}`;
      const why = otherwise && otherwise !== 'unset' ? `${help}; default: ${otherwise}` : help;
      return `${comment(why)}\n#${name}=${value ?? ''}`;
    });
  const intro = head.split('\n').map((line) => `# ${line}`).join('\n');
  return `${[intro, ...parts].join('\n\n')}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.stdout.write(envExample(await text(process.stdin)));
