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
qualify schema_name = max(schema_name) over ()
order by column_index;

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

-- name: columns_of_report
-- Every column of every report view of the database `published`, in order, with its type and what both hold.
select
    columns.table_name as view,
    views.comment as about,
    columns.column_name as name,
    columns.data_type as type,
    columns.comment
from duckdb_columns() as columns
join duckdb_views() as views
    on views.view_oid = columns.table_oid
    and views.database_name = columns.database_name
where columns.database_name = 'published'
    and columns.schema_name = 'report'
order by columns.table_name, columns.column_index;

-- name: tables_published
-- The tables of the database `published`.
select table_name as name
from duckdb_tables()
where database_name = 'published'
    and schema_name = 'main'
order by table_name;
