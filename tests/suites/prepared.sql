-- One statement a line, on PostgreSQL and on Millrace: rows, counts, SQLSTATE, message and detail must be equal.
-- A prepared query that has run twice is planned for any values: it must see what else changes.
create table pk (k int primary key, v text, n numeric)
insert into pk select i, 'v' || i, i / 7.0 from generate_series(1, 1000) g(i)
prepare one as select k, v, n from pk where k = $1
execute one(5)
execute one(6)
execute one(7)
execute one(null)
prepare two(numeric) as select k from pk where k = $1
execute two(5)
execute two(6.5)
execute two(7)
prepare three as select v from pk where k in ($1, $2) order by k
execute three(1, 2)
execute three(3, 4)
execute three(5, 5)
prepare four as select v from pk where k = any ($1) order by k
execute four('{1,2}')
execute four('{3,4}')
execute four('{}')
prepare five as select k from pk order by k limit $1
execute five(2)
execute five(3)
execute five(1)
prepare six as select $1 || 'x', $2 + 1
execute six('a', 1)
execute six('b', 2)
execute six('c', 3)
prepare seven as select round(n, $1) from pk where k = $2
execute seven(2, 10)
execute seven(3, 10)
execute seven(0, 10)
prepare eight as select count(*), sum(n) from pk where k > $1 and v like $2
execute eight(990, 'v%')
execute eight(995, 'v%')
execute eight(500, 'x%')
set search_path = pg_catalog
execute one(7)
create schema s
create table s.pk (k int primary key, v text, n numeric)
insert into s.pk values (8, 'other', 1)
set search_path = s, public
execute one(8)
execute one(8)
execute one(8)
set search_path = public
execute one(8)
set search_path = s, public
execute one(8)
drop table s.pk
execute one(8)
execute one(9)
execute one(9)
alter table public.pk rename column v to w
execute one(9)
prepare nine as select k / $1 from pk where k = 10
execute nine(2)
execute nine(5)
execute nine(0)
execute nine(3)
begin
insert into pk values (5000, 'own', 1)
prepare ten as select k, w from pk where k = $1
execute ten(5000)
execute ten(5000)
execute ten(5000)
rollback
execute ten(5000)
execute ten(1)
set time zone 'UTC'
create table m (k int primary key, at timestamptz)
insert into m values (1, '2026-01-01 12:00')
prepare eleven as select at, at::text, $2::timestamptz from m where k = $1
execute eleven(1, '2026-01-01 00:00')
execute eleven(1, '2026-01-01 00:00')
execute eleven(1, '2026-01-01 00:00')
set time zone 'Asia/Tokyo'
execute eleven(1, '2026-01-01 00:00')
execute eleven(1, '2026-01-01 00:00')
prepare twelve as select current_setting('application_name'), $1::int
execute twelve(1)
execute twelve(2)
set application_name = 'other'
execute twelve(3)
execute twelve(4)
create index on pk (n)
prepare thirteen as select k from pk where n = $1 order by k
execute thirteen(1)
execute thirteen(1.0000)
execute thirteen(2)
insert into pk values (6000, 'x', 2)
execute thirteen(2)
delete from pk where k = 6000
execute thirteen(2)
drop table pk
execute thirteen(2)
create table c (k int primary key, v numeric(8, 2) default 1.5 not null check (v > 0), t varchar(4), a int[])
prepare ins as insert into c values ($1, $2, $3) returning *
execute ins(1, 2.255, 'abcd')
execute ins(2, '3', 'ab')
execute ins(3, 4, 'abcde')
execute ins(3, -4, 'abc')
execute ins(1, 4, 'abc')
execute ins(null, 4, 'abc')
execute ins(4, null, 'abc')
execute ins(5, 6, null)
prepare up as update c set v = v + $2, t = coalesce($3, t) where k = $1 returning k, v, t
execute up(1, 1, null)
execute up(1, 1.005, 'x')
execute up(2, -100, 'x')
execute up(99, 1, 'x')
execute up(2, 1, 'toolong')
prepare del as delete from c where k = $1
execute del(1)
execute del(2)
execute del(2)
prepare ups as insert into c (k, v, t) values ($1, $2, 'u') on conflict (k) do update set v = excluded.v + $3, t = $4 where c.v <> $2 returning *
execute ups(10, 1, 1, 'a')
execute ups(10, 1, 1, 'b')
execute ups(10, 5, 1, 'c')
execute ups(10, 5, 2.5, 'd')
prepare many as insert into c (k, v) values ($1, default), ($2, $3), ($1 + 1000, 9) returning k, v
execute many(20, 21, 2)
execute many(30, 31, 3)
execute many(30, 32, 3)
execute many(40, 40, 3)
execute many(50, 51, -3)
prepare frm as insert into c (k, v) select k + $1, v from c where v > $2 and k < 25 returning k
execute frm(5000, 8)
execute frm(6000, 8.5)
execute frm(7000, 100)
alter table c alter column v drop not null
execute ins(60, null, 'a')
alter table c add column z int default 7
execute ins(61, 1, 'a')
prepare ins2 as insert into c (k, a) values ($1, $2) returning k, a
execute ins2(70, '{1,2}')
execute ins2(71, array[3])
execute ins2(72, null)
begin
execute ins2(73, '{1}')
execute up(73, 1, 'b')
rollback
execute up(73, 1, 'b')
create sequence q
prepare nxt as insert into c (k) values (nextval('q') + $1) returning k
execute nxt(9000)
execute nxt(9000)
execute nxt(9000)
select count(*), sum(k) from c
