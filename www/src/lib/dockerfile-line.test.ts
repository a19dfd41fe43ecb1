/** History texts as lines of a Dockerfile. */
import { expect, it } from 'vitest';
import { dockerfileLine } from './dockerfile-line';

it.each([
  ['/bin/sh -c #(nop)  CMD ["bash"]', 'CMD', '["bash"]'],
  ['/bin/sh -c #(nop) ADD file:0a1b in / ', 'ADD', 'file:0a1b in /'],
  ['/bin/sh -c apt-get update', 'RUN', 'apt-get update'],
  ['RUN /bin/sh -c make install # buildkit', 'RUN', 'make install'],
  ['COPY . /app # buildkit', 'COPY', '. /app'],
  ['|1 VERSION=2 /bin/sh -c echo $VERSION', 'RUN', 'echo $VERSION'],
  ['ENV A=b', 'ENV', 'A=b'],
  ['RUNNING late', null, 'RUNNING late'],
  ['umoci repack', null, 'umoci repack'],
  ['', null, ''],
])('%s', (from, keyword, text) => expect(dockerfileLine(from)).toEqual({ keyword, text }));

it('breaks what is long', () => {
  const line = dockerfileLine(`/bin/sh -c ${'a'.repeat(50)} && ${'b'.repeat(50)}`);
  expect(line.text.split('\n')).toHaveLength(2);
});
