/** The commands that import, run and push the download, tool by tool, with the name that each tool uses. */
import type { Reference } from '../core/protocol';

export interface Tool {
  id: string;
  name: string;
  /** What the tool calls the image. */
  calls: string;
  commands: { does: string; line: string }[];
  /** What is worth knowing, and which of these commands this project's tests run. */
  note: string;
}

const NOT_RUN = 'Not run here: the machine that runs the tests has none. Written by its documentation.';

export function tools(reference: Reference, file: string): Tool[] {
  const { canonical, familiar, registry, repository, tag } = reference;
  const short = repository.split('/').at(-1)!;
  // A name without a registry of its own needs one before it can be pushed.
  const own = registry !== 'docker.io' || !repository.startsWith('library/');
  const target = own ? canonical : `registry.example/${short}:${tag}`;
  const tagged = (tool: string) =>
    own ? `${tool} push ${familiar}` : `${tool} tag ${familiar} ${target} && ${tool} push ${target}`;
  return [
    {
      id: 'ctr',
      name: 'ctr',
      calls: canonical,
      commands: [
        { does: 'import', line: `sudo ctr images import ${file}` },
        { does: 'run', line: `sudo ctr run --rm -t ${canonical} demo` },
        { does: 'push', line: `sudo ctr images push ${own ? canonical : `${target} ${canonical}`}` },
      ],
      note: 'The tests import and run with a real ctr; the push was not run here. For a namespace other than “default”, add -n NAME right after ctr.',
    },
    {
      id: 'docker',
      name: 'docker',
      calls: familiar,
      commands: [
        { does: 'import', line: `docker load -i ${file}` },
        { does: 'run', line: `docker run --rm -it ${familiar}` },
        {
          does: 'push',
          line: tagged('docker'),
        },
      ],
      note: NOT_RUN,
    },
    {
      id: 'podman',
      name: 'podman',
      calls: canonical,
      commands: [
        { does: 'import', line: `podman load -i ${file}` },
        { does: 'run', line: `podman run --rm -it ${canonical}` },
        { does: 'push', line: `podman push ${canonical} docker://${target}` },
      ],
      note: 'The tests load with a real podman; run and push were not run here.',
    },
    {
      id: 'nerdctl',
      name: 'nerdctl',
      calls: familiar,
      commands: [
        { does: 'import', line: `sudo nerdctl load -i ${file}` },
        { does: 'run', line: `sudo nerdctl run --rm -it ${familiar}` },
        {
          does: 'push',
          line: tagged('sudo nerdctl'),
        },
      ],
      note: NOT_RUN,
    },
    {
      id: 'kind',
      name: 'kind',
      calls: canonical,
      commands: [
        { does: 'import', line: `kind load image-archive ${file}` },
        {
          does: 'run',
          line: `kubectl run demo --rm -it --restart=Never --image-pull-policy=Never --image=${canonical}`,
        },
      ],
      note: NOT_RUN,
    },
    {
      id: 'k3s',
      name: 'k3s',
      calls: canonical,
      commands: [
        { does: 'import', line: `sudo k3s ctr images import ${file}` },
        {
          does: 'run',
          line: `sudo k3s kubectl run demo --rm -it --restart=Never --image-pull-policy=Never --image=${canonical}`,
        },
      ],
      note: NOT_RUN,
    },
    {
      id: 'skopeo',
      name: 'skopeo',
      calls: `oci-archive:${file}`,
      commands: [
        { does: 'look', line: `skopeo inspect oci-archive:${file}` },
        { does: 'push', line: `skopeo copy oci-archive:${file} docker://${target}` },
      ],
      note: 'Pushes straight from the file: no daemon, no import. The tests inspect and copy with a real skopeo, to files rather than a registry.',
    },
  ];
}
