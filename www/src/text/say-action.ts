/** An action in a few words, as the sentence beside the digests begins: "hello.txt changed." */
import type { Action } from '../core/protocol';
import { nameOf } from '../lib/path';

export function sayAction(action: Action): string {
  switch (action.op) {
    case 'write':
      return `${nameOf(action.path)} changed.`;
    case 'make':
      return `${nameOf(action.path)} made.`;
    case 'delete':
      return `${nameOf(action.path)} deleted.`;
    case 'move':
      return `${nameOf(action.from.path)} moved.`;
    case 'copy':
      return `${nameOf(action.from.path)} copied.`;
    case 'set_attributes':
      return `${nameOf(action.path)}: ${Object.keys(action.attributes).join(', ')} changed.`;
    case 'set_xattr':
      return `${nameOf(action.path)}: xattr ${action.name} changed.`;
    case 'set_target':
      return `${nameOf(action.path)} points elsewhere.`;
    case 'whiteout':
      return `${nameOf(action.path)} marked as deleted.`;
    case 'clear_whiteout':
      return `The whiteout of ${nameOf(action.path)} is gone.`;
    case 'set_opaque':
      return `${nameOf(action.path)} is ${action.opaque ? 'opaque now' : 'no longer opaque'}.`;
    case 'set_config':
      return `${FIELDS[action.set.field] ?? action.set.field} changed.`;
    case 'set_name':
      return 'The name changed.';
    case 'set_compression':
      return 'Another compression.';
    case 'set_history':
      return 'The history text changed.';
    case 'add_layer':
    case 'add_layer_tar':
      return `Layer ${action.name} added.`;
    case 'duplicate_layer':
      return 'A layer duplicated.';
    case 'remove_layer':
      return 'A layer removed.';
    case 'rename_layer':
      return 'A layer renamed.';
    case 'move_layer':
      return 'The layers changed places.';
    case 'create_image':
      return 'A new image.';
    case 'open_archive':
      return `${action.name} opened.`;
    case 'close_archive':
      return 'An archive closed.';
    case 'remove_image':
      return 'An image removed.';
    case 'remove_path':
      return `${nameOf(action.path)} removed from every layer.`;
    case 'squash_layers':
      return 'Layers squashed into one.';
    case 'split_layer':
      return `A layer split; ${action.name} is new.`;
    case 'strip_times':
      return 'One time for a whole layer.';
    case 'normalise':
      return 'A layer normalised.';
    case 'start_container':
      return 'A container started.';
    case 'run_line':
      return `${action.line.slice(0, 40)}: in the container.`;
    case 'call_in':
      return `${action.call.slice(0, 40)}: in the container.`;
    case 'import_image':
      return 'An image imported to the machine.';
    case 'run_on_machine':
      return `${action.line.slice(0, 40)}: on the machine.`;
    case 'remove_image_of_machine':
      return `${action.name.slice(0, 60)} removed from the machine.`;
    case 'collect_garbage':
      return 'Garbage collected.';
    case 'remove_container_of_machine':
      return `${action.id.slice(0, 40)} removed from the machine.`;
    case 'discard_container':
      return 'A container thrown away.';
    case 'commit_container':
      return `What the container wrote is layer ${action.name}.`;
    case 'add_difference':
      return `The difference is layer ${action.name}.`;
    case 'group':
      return `${action.label.slice(0, 1).toUpperCase()}${action.label.slice(1)}.`;
  }
}

/** An action by its name, for the list of what was lost. */
export function nameAction(action: Action): string {
  const name = action.op.replaceAll('_', ' ');
  return action.op === 'group' ? action.label : 'path' in action ? `${name} ${action.path}` : name;
}

const FIELDS: Record<string, string> = {
  cmd: 'Cmd',
  entrypoint: 'Entrypoint',
  env: 'Env',
  working_dir: 'WorkingDir',
  user: 'User',
  stop_signal: 'StopSignal',
  author: 'The author',
  labels: 'Labels',
  exposed_ports: 'ExposedPorts',
  volumes: 'Volumes',
  created: 'The creation time',
  platform: 'The platform',
};
