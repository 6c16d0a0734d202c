-- How was each version of a bank that a system made judged beside the bank before it, and was it kept though refused?
create or replace view report.bank_guard as
select
    bank.name as bank,
    bank.version,
    previous.name as previous_bank,
    previous.version as previous_version,
    bank_guard.forced,
    bank_guard.image_count,
    bank_guard.flagged_before,
    bank_guard.flagged_now,
    bank_guard.method_id,
    bank_guard.min_log_odds,
    bank_guard.bank_digest,
    bank_guard.previous_digest,
    bank_guard.run_id
from main.bank_guard
join main.bank on bank.bank_digest = bank_guard.bank_digest
left join main.bank as previous on previous.bank_digest = bank_guard.previous_digest;
