/** The little form that makes, moves or finds something: one at a time, opened from many places. */
export type Task =
  'file' | 'directory' | 'symlink' | 'hard_link' | 'whiteout' | 'device' | 'rename' | 'copy' | 'find';

class Making {
  task = $state<Task | null>(null);

  start(task: Task): void {
    this.task = task;
  }
  end(): void {
    this.task = null;
  }
}

export const making = new Making();
