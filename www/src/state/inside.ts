/**
 * A change of what a container shows is a system call in it, or a line of its shell, as a process would make it.
 * What fails has happened too: it is a step of the history, and the reason is the rule's.
 */
import type { Action, Attributes, ContainerView, CoreError, StepView, Time } from '../core/protocol';
import { byteText } from '../lib/byte-text';
import { session } from './session.svelte';

type Step = { call: string } | { line: string };

/** A word of a call: in quotes where it must be. */
export function word(text: string): string {
  return text !== '' && !/[\s"]/.test(text) && !text.startsWith('#')
    ? text
    : `"${text.replaceAll('"', '\\"')}"`;
}

/** A word of the shell, whatever is in it. */
export function shellWord(text: string): string {
  return /^[\w./+:@%-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\\\''`)}'`;
}

/** What is written, as a word in quotes: lines end in `\n`. */
function quoted(text: string): string {
  return `"${text.split('\n').map(byteText).join('\\n').replaceAll('"', '\\"')}"`;
}

function seconds({ seconds, nanos }: Time): string {
  return nanos ? `${seconds}.${String(nanos).padStart(9, '0')}` : String(seconds);
}

function attributeSteps(path: string, { mode, uid, gid, mtime }: Attributes): Step[] {
  const steps: Step[] = [];
  // A change of the owner takes setuid away, so it comes first.
  if (uid !== undefined || gid !== undefined)
    steps.push({ call: `chown ${path} ${uid ?? '-'}:${gid ?? '-'} nofollow` });
  if (mode !== undefined) steps.push({ call: `chmod ${path} ${mode.toString(8).padStart(4, '0')}` });
  if (mtime) steps.push({ call: `utimes ${path} omit ${seconds(mtime)} nofollow` });
  return steps;
}

function makeSteps(path: string, entry: Extract<Action, { op: 'make' }>['entry']): Step[] | null {
  switch (entry.kind) {
    case 'file': {
      if (!('text' in entry.content) || entry.content.text !== '') return null;
      return [{ call: `open ${path} write create exclusive` }];
    }
    case 'directory':
      return [{ call: `mkdir ${path}` }];
    case 'symlink':
      return [{ call: `symlink ${word(entry.target)} ${path}` }];
    case 'hard_link':
      return [{ call: `link ${word(entry.target)} ${path}` }];
    case 'fifo':
      return [{ call: `mknod ${path} fifo` }];
    default: {
      const kind = entry.kind === 'char_device' ? 'char' : 'block';
      return [{ call: `mknod ${path} ${kind} ${entry.major}:${entry.minor}` }];
    }
  }
}

/** What a process would do for it; null for what none can. */
export function steps(action: Action, isDirectory: boolean): Step[] | null {
  switch (action.op) {
    case 'make':
      return makeSteps(word(action.path), action.entry);
    case 'write': {
      if (!('text' in action.content)) return null;
      return [{ call: `write ${word(action.path)} ${quoted(action.content.text)}` }];
    }
    case 'set_target': {
      const path = word(action.path);
      return [{ call: `unlink ${path}` }, { call: `symlink ${word(action.target)} ${path}` }];
    }
    case 'delete':
      return [
        isDirectory ? { line: `rm -r ${shellWord(action.path)}` } : { call: `unlink ${word(action.path)}` },
      ];
    case 'move':
      return [{ call: `rename ${word(action.from.path)} ${word(action.to.path)}` }];
    case 'copy':
      return [{ line: `cp -a ${shellWord(action.from.path)} ${shellWord(action.to.path)}` }];
    case 'set_attributes':
      return attributeSteps(word(action.path), action.attributes);
    case 'set_xattr': {
      const place = `${word(action.path)} ${word(action.name)}`;
      if (action.value === null) return [{ call: `removexattr ${place} nofollow` }];
      return [{ call: `setxattr ${place} ${word(action.value)} nofollow` }];
    }
    case 'whiteout':
      // What the kernel says of it is worth reading.
      return [{ call: `mknod ${word(action.path)} char 0:0` }];
    default:
      return null;
  }
}

/** Does it in the container, and gives the first error of the steps that it took. */
export async function edit(container: ContainerView, action: Action): Promise<CoreError | null> {
  const path = 'path' in action ? action.path : null;
  const column =
    path === null || action.op !== 'delete'
      ? null
      : await session.client.query({ query: 'column', image: container.id, path }).catch(() => null);
  const shown = column?.layers.find(({ layer }) => layer === column.visible);
  const wanted = steps(action, shown?.entry?.kind === 'directory');
  if (!wanted || wanted.length === 0)
    return { code: 'no_such_call', message: 'No system call does this in a container.' };
  const actions: Action[] = wanted.map((step) =>
    'call' in step
      ? { op: 'call_in', container: container.id, call: step.call }
      : { op: 'run_line', container: container.id, line: step.line },
  );
  const label = 'call' in wanted[0]! ? wanted[0].call : wanted[0]!.line;
  const refused = await session.apply(actions.length === 1 ? actions[0]! : { op: 'group', label, actions });
  if (refused) return refused;
  await session.showNow();
  for (let step = container.steps; step < container.steps + actions.length; step++) {
    const told = await session.client.query({ query: 'step', container: container.id, step });
    const failed = told && failure(told);
    if (failed) return failed;
  }
  return null;
}

/** The reason why a step failed, with the rule's sentence. */
export function failure({ status, calls, output }: StepView): CoreError | null {
  if (status === 0) return null;
  const said = output
    .filter(({ stream }) => stream === 'stderr')
    .map(({ text }) => text)
    .join('')
    .trim();
  const call = calls.findLast(({ errno }) => errno !== null);
  const rule = call?.events.findLast(({ rule }) => rule.startsWith('errno.'));
  const sentence = rule?.sentence ?? '';
  return { code: call?.errno ?? 'failed', message: said || `${call?.errno ?? 'It failed'}: ${sentence}` };
}
