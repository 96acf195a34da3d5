/**
 * Foundation: the VPC (made here, or an existing one), the hosted zone, the
 * certificate, and the topic that every alarm goes to.
 *
 * The A record that points to the load balancer stands in the compute stack:
 * the load balancer is made there and needs this stack's VPC, so a record here
 * would close a circle.
 */
import { Annotations, CfnOutput, Fn } from 'aws-cdk-lib';
import * as acm from 'aws-cdk-lib/aws-certificatemanager';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as route53 from 'aws-cdk-lib/aws-route53';
import type { Construct } from 'constructs';
import type { Config } from '../config/config.ts';
import { AlarmTopic } from '../constructs/alarm-topic.ts';
import { createVpc, importVpc } from '../constructs/vpc.ts';
import { BaseStack } from './base.stack.ts';

export class NetworkStack extends BaseStack {
  readonly vpc: ec2.IVpc;
  readonly hostedZone: route53.IHostedZone;
  readonly certificate: acm.ICertificate;
  readonly alarmTopic: AlarmTopic;

  constructor(scope: Construct, config: Config) {
    super(scope, 'network', config, 'Network, DNS zone, certificate and alarm topic');
    this.vpc = config.vpcId === undefined ? createVpc(this, config) : importVpc(this, config);
    this.hostedZone = route53.HostedZone.fromHostedZoneAttributes(this, 'HostedZone', {
      hostedZoneId: config.hostedZoneId,
      zoneName: config.hostedZoneName,
    });
    this.certificate = acm.Certificate.fromCertificateArn(this, 'Certificate', config.certificateArn);
    this.alarmTopic = new AlarmTopic(this, 'Alarms', config);
    this.warnOfDeafness();
    new CfnOutput(this, 'AlarmTopicArn', { value: this.alarmTopic.topic.topicArn, description: 'Where alarms go' });
  }

  /** Every alarm of production would ring into a room with nobody in it. */
  private warnOfDeafness(): void {
    if (this.config.isProduction && this.config.alarmEmail === undefined) {
      Annotations.of(this).addWarningV2(
        'millrace:no-alarm-address',
        'CDK_ALARM_EMAIL is not set: alarms reach nobody, unless somebody has subscribed to the topic of the output AlarmTopicArn.',
      );
    }
  }

  /** The first two zones of whatever region this lands in: no call to AWS while synthesizing. */
  override get availabilityZones(): string[] {
    return [Fn.select(0, Fn.getAzs()), Fn.select(1, Fn.getAzs())];
  }
}
