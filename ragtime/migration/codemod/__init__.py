"""The codemod: programs that use the old modules come to use their wrappers, or the new names.

report = migrate(["app/"], "ragtime")
for file in report.files:
    print(file.diff())

It reads and writes nothing but the files it is given, and needs the extra ``migrate``.
"""

from ragtime.migration.codemod.findings import FileResult, Finding, MigrationReport, Problem, Target
from ragtime.migration.codemod.run import migrate

__all__ = ["FileResult", "Finding", "MigrationReport", "Problem", "Target", "migrate"]
