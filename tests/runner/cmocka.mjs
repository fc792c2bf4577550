// The cases of one meson test from what cmocka printed. A test that began and
// did not end is a crash; its own lines, up to its end, are its output.

const began = /^\[ RUN {6}\] (.*)$/;
const ended = /^\[ {2}(?: {5}OK|FAILED |SKIPPED) \] (.*)$/;
const mark = /^\[(?:={10}|-{10}| {2}PASSED  | {2}FAILED  | {2}SKIPPED )\]/;

// result: 'OK', 'FAIL', 'TIMEOUT', 'SKIP', 'ERROR'… as meson says. Returns
// [{ name, error?, skipped? }].
export function cmockaCases({ name, result, returncode, stdout = '', stderr = '' }) {
  const cases = [];
  let open;
  let lines = [];
  // cmocka prints results on one stream and messages on the other, in no order
  // that could be kept: what is on stderr goes with every failure.
  for (const line of stdout.split('\n')) {
    const start = began.exec(line);
    const end = ended.exec(line);
    if (start) {
      open = start[1];
      lines = [];
    } else if (end && end[1] === open) {
      if (line.includes('FAILED')) cases.push({ name: open, error: output(lines, stderr) });
      else if (line.includes('SKIPPED')) cases.push({ name: open, skipped: reason(lines, stderr) });
      else cases.push({ name: open });
      open = undefined;
    } else if (!mark.test(line)) {
      lines.push(line);
    }
  }
  const how = `${result === 'TIMEOUT' ? 'ran out of time' : `ended with ${returncode}`} (${result})`;
  const good = result === 'OK' || result === 'SKIP';
  if (open !== undefined) cases.push({ name: open, error: `${how}\n${output(lines, stderr)}` });
  else if (!good && !cases.some((c) => c.error)) cases.push({ name: 'the program', error: `${how}\n${output(lines, stderr)}` });
  else if (cases.length === 0) cases.push({ name: 'the program', error: `no test cases in its output\n${output(lines, stderr)}` });
  return cases.map((c) => ({ ...c, name: `${name}: ${c.name}` }));
}

function output(lines, stderr) {
  return [...lines, ...stderr.split('\n')].filter((l) => l.trim()).slice(-60).join('\n');
}

function reason(lines, stderr) {
  const said = [...lines, ...stderr.split('\n')].find((l) => l.includes('skipped: '));
  return said ? said.slice(said.indexOf('skipped: ') + 9) : 'no reason given';
}
