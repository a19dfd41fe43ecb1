/** What can be done with a whole layer. Each is one step of undo. */
import type { LayerView } from '../../core/protocol';
import { letter } from '../../lib/letters';
import { nameOf } from '../../lib/path';
import { visible } from '../../lib/visible';
import { attempt, duplicateLayer, moveLayer, save } from '../../state/actions';
import { selection } from '../../state/selection.svelte';
import { session } from '../../state/session.svelte';
import type { MenuItem } from '../../ui/Menu.svelte';

const ENDINGS = { none: '', plain: '', gz1: '.gz', gzip: '.gz', zstd: '.zst' };

export function layerMenu(layer: LayerView, position: number): MenuItem[] {
  const { id, name } = layer;
  const below = session.layers[position - 1];
  const editable = layer.reading.state === 'read';
  const { path } = selection;
  const splittable = editable && path !== null && path !== '/' && selection.layer === id;
  const packed =
    ENDINGS[layer.compression === 'original' ? (layer.origin?.packing ?? 'plain') : layer.compression];
  return [
    {
      label: 'Move up',
      run: () => void moveLayer(id, position + 1),
      disabled: position === session.layers.length - 1,
    },
    { label: 'Move down', run: () => void moveLayer(id, position - 1), disabled: position === 0 },
    { label: 'Duplicate', run: () => void duplicateLayer(id), disabled: !editable },
    {
      label: 'Compare with what is below',
      says: 'Path by path, what this layer makes of the view that it stands on.',
      run: () => compareLayer(position),
    },
    'line',
    {
      label: below ? `Squash into ${letter(position - 1)} ${visible(below.name)}` : 'Squash',
      says: 'Both become one layer that looks the same; what is hidden in it no longer ships.',
      run: () => void squash(below!, layer),
      disabled: !editable || below?.reading.state !== 'read',
    },
    {
      label: splittable ? `Split ${visible(nameOf(path))} off` : 'Split the selected path off',
      says: 'It moves, with all in it, into a layer of its own right above.',
      run: () => void split(layer, path!),
      disabled: !splittable,
    },
    {
      label: 'One time for every entry',
      says: 'The same files then make the same layer, whenever they were built.',
      run: () => void attempt({ op: 'strip_times', layer: id }),
      disabled: !editable,
    },
    {
      label: 'Normalise',
      says: 'Written in the one canonical form: duplicates, odd headers and unknown records go.',
      run: () => void attempt({ op: 'normalise', layer: id }),
      disabled: !editable || layer.format === 'gnu' || layer.format === 'pax',
    },
    'line',
    {
      label: 'Save its tar',
      hint: 'DiffID',
      run: () => void save({ export: 'layer_tar', layer: id }, `${name}.tar`),
    },
    {
      label: 'Save its blob',
      hint: 'digest',
      run: () => void save({ export: 'layer_blob', layer: id }, `${name}.tar${packed}`),
    },
    'line',
    {
      label: 'Remove',
      says: 'What it hid shows again.',
      run: () => void attempt({ op: 'remove_layer', layer: id }),
    },
  ];
}

function compareLayer(position: number): void {
  const image = session.image!.id;
  const at = (layers: number) => ({ image, layers });
  selection.go({ view: 'compare', page: 'stage', before: at(position), after: at(position + 1) });
}

async function squash(bottom: LayerView, top: LayerView): Promise<void> {
  const says = `${top.name} squashed into ${bottom.name}.`;
  if (await attempt({ op: 'squash_layers', bottom: bottom.id, top: top.id }, says)) {
    selection.go({ layer: bottom.id });
  }
}

async function split(layer: LayerView, path: string): Promise<void> {
  const new_layer = session.ids.layer();
  const name = `${layer.name}-${nameOf(path)}`;
  if (await attempt({ op: 'split_layer', layer: layer.id, new_layer, name, paths: [path] })) {
    selection.go({ layer: new_layer, path });
  }
}
