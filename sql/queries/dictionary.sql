-- name: views_described
-- What each view is for.
select view_name as view, comment as holds
from duckdb_views()
where schema_name = 'report'
order by view_name;

-- name: columns_described
-- What each column of a view or table holds; of a view where both have the name.
select column_name as column, lower(data_type) as type, comment as meaning
from duckdb_columns()
where table_name = $relation
    and schema_name in ('report', 'main')
order by schema_name = 'main', column_index;

-- name: columns_of_all
-- Every column there is, with the kind of what it is in.
select
    columns.schema_name as schema,
    columns.table_name as relation,
    columns.column_name as name,
    case when columns.schema_name = 'report' then 'view' else 'table' end as kind
from duckdb_columns() as columns
where not columns.internal
    and columns.schema_name in ('report', 'main')
order by columns.table_name, columns.column_index;
