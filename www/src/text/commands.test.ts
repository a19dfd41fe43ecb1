/** The commands name the image as each tool does, and push where it can be pushed. */
import { expect, it } from 'vitest';
import { tools } from './commands';

const plain = {
  text: 'handroll',
  registry: 'docker.io',
  repository: 'library/handroll',
  tag: 'latest',
  canonical: 'docker.io/library/handroll:latest',
  familiar: 'handroll:latest',
};
const own = {
  text: 'ghcr.example/team/app:1',
  registry: 'ghcr.example',
  repository: 'team/app',
  tag: '1',
  canonical: 'ghcr.example/team/app:1',
  familiar: 'ghcr.example/team/app:1',
};
const line = (reference: typeof plain, id: string, does: string) =>
  tools(reference, 'x.tar')
    .find((tool) => tool.id === id)!
    .commands.find((command) => command.does === does)!.line;

it('runs by the name that the tool knows', () => {
  expect(line(plain, 'ctr', 'import')).toBe('sudo ctr images import x.tar');
  expect(line(plain, 'ctr', 'run')).toBe('sudo ctr run --rm -t docker.io/library/handroll:latest demo');
  expect(line(plain, 'docker', 'run')).toBe('docker run --rm -it handroll:latest');
});

it('pushes to a registry of its own, or to an example', () => {
  expect(line(plain, 'skopeo', 'push')).toBe(
    'skopeo copy oci-archive:x.tar docker://registry.example/handroll:latest',
  );
  expect(line(own, 'skopeo', 'push')).toBe('skopeo copy oci-archive:x.tar docker://ghcr.example/team/app:1');
  expect(line(plain, 'docker', 'push')).toContain(
    'docker tag handroll:latest registry.example/handroll:latest && ',
  );
  expect(line(own, 'docker', 'push')).toBe('docker push ghcr.example/team/app:1');
  expect(line(own, 'ctr', 'push')).toBe('sudo ctr images push ghcr.example/team/app:1');
});
