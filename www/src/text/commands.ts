/** The commands that import, run and push the download, tool by tool, with the name that each tool uses. */
import type { Reference } from '../core/protocol';

export interface Tool {
  id: string;
  name: string;
  /** What the tool calls the image. */
  calls: string;
  commands: { does: string; line: string }[];
  note?: string;
  /** Were these commands run by this project's tests? */
  checked: boolean;
}

export function tools(reference: Reference, file: string): Tool[] {
  const { canonical, familiar, repository, tag } = reference;
  const short = repository.split('/').at(-1)!;
  const remote = `docker://registry.example/${short}:${tag}`;
  const named = `${short}:${tag}`;
  return [
    {
      id: 'ctr',
      name: 'ctr',
      calls: canonical,
      commands: [
        { does: 'import', line: `sudo ctr images import ${file}` },
        { does: 'run', line: `sudo ctr run --rm -t ${canonical} demo` },
        { does: 'push', line: `sudo ctr images push registry.example/${named} ${canonical}` },
      ],
      note: 'ctr keeps images by namespace; add -n NAME before the command for another than “default”.',
      checked: true,
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
          line: `docker tag ${familiar} registry.example/${named} && docker push registry.example/${named}`,
        },
      ],
      checked: false,
    },
    {
      id: 'podman',
      name: 'podman',
      calls: canonical,
      commands: [
        { does: 'import', line: `podman load -i ${file}` },
        { does: 'run', line: `podman run --rm -it ${canonical}` },
        { does: 'push', line: `podman push ${canonical} ${remote}` },
      ],
      note: 'podman load was run; podman run could not be where the tests run.',
      checked: true,
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
          line: `sudo nerdctl tag ${familiar} registry.example/${named} && sudo nerdctl push registry.example/${named}`,
        },
      ],
      checked: false,
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
      checked: false,
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
      checked: false,
    },
    {
      id: 'skopeo',
      name: 'skopeo',
      calls: `oci-archive:${file}`,
      commands: [
        { does: 'look', line: `skopeo inspect oci-archive:${file}` },
        { does: 'push', line: `skopeo copy oci-archive:${file} ${remote}` },
      ],
      note: 'Pushes straight from the file: no daemon, no import.',
      checked: true,
    },
  ];
}
