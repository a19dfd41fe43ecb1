/** The graph of an image that was made here, as it is going to be written. */
import type { DocumentName, Graph, ImageView } from '../core/protocol';
import type { Node } from './graph.svelte';

export function madeGraph(image: ImageView): { nodes: Node[]; links: Graph['links'] } {
  const nodes: Node[] = [];
  const links: Graph['links'] = [];

  function add(
    kind: Node['kind'],
    above: Node | null,
    pointer: string,
    known: { digest: string; size: number } | null,
    more: Partial<Node>,
  ): Node {
    const node: Node = {
      node: nodes.length,
      path: '',
      parent: above?.node ?? null,
      pointer,
      kind,
      media_type: '',
      digest: known?.digest ?? null,
      size: known?.size ?? null,
      actual: known?.digest ?? null,
      state: known ? 'verified' : 'unverified',
      platform: null,
      names: [],
      annotations: {},
      image: null,
      layer: null,
      reused: false,
      problems: 0,
      document: null,
      ...more,
    };
    nodes.push(node);
    if (above) links.push({ from: above.node, to: node.node, pointer, platform: null });
    return node;
  }
  function addDocument(
    kind: Node['kind'],
    above: Node | null,
    pointer: string,
    name: DocumentName,
    more = {},
  ) {
    const oci = name === 'index' || name === 'manifest' || name === 'config';
    const media_type = oci ? `application/vnd.oci.image.${name}.v1+json` : 'application/json';
    const path = name === 'index' ? 'index.json' : name;
    return add(kind, above, pointer, image.documents[name], { document: name, media_type, path, ...more });
  }

  const index = addDocument('index', null, '', 'index');
  const names = [image.reference.familiar];
  const manifest = addDocument('manifest', index, '/manifests/0', 'manifest', { image: image.id, names });
  addDocument('config', manifest, '/config', 'config');
  image.layers.forEach(({ id, blob }, i) => {
    const known = blob.state === 'known' ? blob : null;
    add('layer', manifest, `/layers/${i}`, known, { media_type: known?.media_type ?? '', layer: id });
  });
  addDocument('docker_manifest', null, '', 'manifest.json');
  addDocument('other', null, '', 'oci-layout');
  return { nodes, links };
}
