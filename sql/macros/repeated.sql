-- Keys of a table that occur more than once. Takes the names of the table and of the columns of its key.
create or replace macro repeated(table_name, key_columns) as table
from query(format(
    'select ''{0}'' as table_name, concat_ws('' '', {1}) as key, count(*) as rows from {0} group by {1} having rows > 1',
    table_name,
    key_columns
));
