//! Columns as Go's package text/tabwriter lines them up: a column is a run of lines that have a cell in it, and a
//! cell is what ends in a tab.

/// How columns are set apart.
#[derive(Clone, Copy)]
pub(super) struct Table {
    /// The narrowest column.
    min_width: usize,
    /// What is added to the widest cell.
    padding: usize,
    /// Whether cells are filled up by tabs of eight, or by spaces.
    by_tabs: bool,
}

/// What most commands of `ctr` use.
pub(super) const BY_SPACE: Table = Table {
    min_width: 1,
    padding: 1,
    by_tabs: false,
};

/// `content ls`.
pub(super) const BY_TABS: Table = Table {
    by_tabs: true,
    ..BY_SPACE
};

/// `containers ls` and `tasks ls`.
pub(super) const WIDE: Table = Table {
    min_width: 4,
    padding: 4,
    by_tabs: false,
};

/// The help.
pub(super) const HELP: Table = Table {
    padding: 2,
    ..BY_SPACE
};

const TAB: usize = 8;

impl Table {
    /// The text with its columns lined up.
    pub fn format(self, text: &str) -> String {
        let lines: Vec<Vec<&str>> = text.split('\n').map(|line| line.split('\t').collect()).collect();
        let mut out = String::new();
        let mut widths: Vec<Vec<usize>> = lines.iter().map(|cells| vec![0; cells.len() - 1]).collect();
        let columns = widths.iter().map(Vec::len).max().unwrap_or(0);
        for column in 0..columns {
            let mut from = 0;
            while from < lines.len() {
                let run = widths[from..].iter().take_while(|line| line.len() > column);
                let to = from + run.count();
                let cells = lines[from..to].iter().map(|cells| cells[column].chars().count());
                let widest = cells.max().map(|width| self.min_width.max(width + self.padding));
                for line in &mut widths[from..to] {
                    line[column] = widest.expect("a run has lines");
                }
                from = to.max(from + 1);
            }
        }
        for (number, (cells, widths)) in lines.iter().zip(&widths).enumerate() {
            if number > 0 {
                out.push('\n');
            }
            for (at, cell) in cells.iter().enumerate() {
                out += cell;
                if let Some(width) = widths.get(at) {
                    self.fill(&mut out, cell.chars().count(), *width);
                }
            }
        }
        out
    }

    fn fill(self, out: &mut String, used: usize, width: usize) {
        match self.by_tabs {
            true => {
                let width = width.next_multiple_of(TAB);
                out.extend(std::iter::repeat_n('\t', (width - used).div_ceil(TAB)));
            }
            false => out.extend(std::iter::repeat_n(' ', width - used)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples are what `ctr` prints.
    #[test]
    fn columns_line_up_as_gos_do() {
        for (table, text, expected) in [
            (BY_SPACE, "KEY\tPARENT\tKIND\t\n", "KEY PARENT KIND \n"),
            (
                BY_SPACE,
                "KEY\tPARENT\tKIND\t\na\t\tActive\t\n",
                "KEY PARENT KIND   \na          Active \n",
            ),
            (
                WIDE,
                "TASK\tPID\tSTATUS\t\nd1\t27644\tRUNNING\n",
                "TASK    PID      STATUS    \nd1      27644    RUNNING\n",
            ),
            (
                BY_TABS,
                "DIGEST\tSIZE\tAGE\tLABELS\n",
                "DIGEST\tSIZE\tAGE\tLABELS\n",
            ),
            (
                BY_TABS,
                "DIGEST\tSIZE\tAGE\tLABELS\n0123456789012345\t187B\tLess than a second\t-\n",
                "DIGEST\t\t\tSIZE\tAGE\t\t\tLABELS\n0123456789012345\t187B\tLess than a second\t-\n",
            ),
            (HELP, "a\tb\n\nlong\tc\n", "a  b\n\nlong  c\n"),
        ] {
            assert_eq!(table.format(text), expected, "{text:?}");
        }
    }
}
