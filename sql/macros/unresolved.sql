-- Rows of a table that refer to something that is not in another one. Takes the names of the table, of the columns that
-- refer, which both have, and of the other table; null refers to nothing.
create or replace macro unresolved(table_name, key_columns, other_table) as table
from query(format(
    'select ''{0}'' as table_name, ''{2}'' as missing, concat_ws('' '', {1}) as key from {0} anti join {2} using ({1})',
    table_name,
    key_columns,
    other_table
))
where key <> '';
