//! Which notifications a steering verb applies to: ids, ids on standard input, or a selection.
