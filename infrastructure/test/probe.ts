import { AwsSolutionsChecks } from 'cdk-nag';
import { synth } from './support/synth.ts';
const variants = {
 dev: {}, prd: {CDK_ENVIRONMENT:'prd'}, all: {CDK_SCHEDULE_TASK_CLEANUP_CRON:'0 2 * * *', CDK_DATABASE_READ_REPLICA:'true', CDK_XRAY:'true', CDK_VPC_FLOW_LOGS:'true', CDK_SPOT:'true', CDK_DATABASE_MIN_CAPACITY:'0', CDK_ALARM_EMAIL:'a@b.c'},
 prdall: {CDK_ENVIRONMENT:'prd',CDK_SCHEDULE_TASK_CLEANUP_CRON:'0 2 * * *', CDK_DATABASE_READ_REPLICA:'true', CDK_XRAY:'true', CDK_VPC_FLOW_LOGS:'true', CDK_SPOT:'true'},
 vpc: {CDK_VPC_ID:'vpc-0123456789abcdef0', CDK_VPC_SUBNETS_PUBLIC:'subnet-00000000000000001,subnet-00000000000000002',CDK_VPC_SUBNETS_PRIVATE:'subnet-00000000000000003,subnet-00000000000000004', CDK_VPC_AZS:'us-east-1a,us-east-1b', CDK_VPC_FLOW_LOGS:'true'},
};
for (const [n,e] of Object.entries(variants)) {
  const t=Date.now(); const s=synth(e as never);
  try { console.log(n, s.stackNames.join(' '), Date.now()-t,'ms'); } catch (err) { console.log(n, 'ERR', String(err).slice(0,3000)); }
  const r = new AwsSolutionsChecks(s.app).validateScope(s.app);
  for (const v of r.violations) console.log('  ', v.ruleName, v.violatingResources.map(x=>x.constructPath).join(' '), Date.now()-t);
}
