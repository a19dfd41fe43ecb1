/** How the stack is looked at: as sheets or a table, and where the lever stands (0 apart, 100 through). */
class StackLook {
  choice = $state<'auto' | 'sheets' | 'table'>('auto');
  lever = $state(0);
}

export const stackLook = new StackLook();
