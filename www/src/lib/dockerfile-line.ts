/**
 * The text that a builder left in the history, as the line of a Dockerfile that it came from, as far as that
 * can be told. Builders wrap it: `/bin/sh -c #(nop)  CMD …`, `RUN /bin/sh -c … # buildkit`, `|1 ARG=… /bin/sh -c …`.
 */
export interface DockerfileLine {
  /** Null where no instruction was recognised: then the text is what stands there. */
  keyword: string | null;
  text: string;
}

const KEYWORD =
  /^(FROM|RUN|CMD|LABEL|EXPOSE|ENV|ADD|COPY|ENTRYPOINT|VOLUME|USER|WORKDIR|ARG|ONBUILD|STOPSIGNAL|HEALTHCHECK|SHELL|MAINTAINER)\s+/;
const SHELL = /^(?:\|\d+ (?:.*? )??)?\/bin\/sh -c\s+/s;

export function dockerfileLine(createdBy: string): DockerfileLine {
  let text = createdBy.trim().replace(/\s*# buildkit$/, '');
  const nop = /^\/bin\/sh -c #\(nop\)\s+/.exec(text);
  if (nop) text = text.slice(nop[0].length);
  else if (SHELL.test(text)) return { keyword: 'RUN', text: broken(text.replace(SHELL, '')) };
  const keyword = KEYWORD.exec(text);
  if (!keyword) return { keyword: null, text };
  const rest = text.slice(keyword[0].length);
  if (keyword[1] !== 'RUN') return { keyword: keyword[1]!, text: rest };
  return { keyword: 'RUN', text: broken(rest.replace(SHELL, '')) };
}

/** A long command over several lines, as people write it. */
function broken(command: string): string {
  return command.length < 80 ? command : command.replace(/[ \t]+&&[ \t]+/g, ' \\\n    && ');
}
