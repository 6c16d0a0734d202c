-- images + duplicates + rejects = data found in the objects listed.
select objects, data, images, duplicates, rejects
from report.accounting
where images + duplicates + rejects <> data;
